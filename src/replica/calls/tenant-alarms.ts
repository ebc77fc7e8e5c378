// The alarms that tenants activate leave room for those of the group, also where many are activated at once: an alarm
// that was proposed counts from then on.

import { alarmsMax, alarmsOfGroup } from '../../limits.ts';
import type { StoreFailure } from '../../model/store.ts';

const tenantAlarmsMax = alarmsMax - alarmsOfGroup;

export type Tried<Value> =
  | { readonly kind: 'proposed'; readonly value: Value }
  | { readonly kind: 'noRoom'; readonly failure: StoreFailure };

export class TenantAlarms {
  /** Activations that were proposed here, and of which it is not known what became. */
  #underWay = 0;

  /** `active`: the number of alarms, as a leader has it that has caught up. */
  async activate<Value>(active: number, propose: () => Promise<Value>): Promise<Tried<Value>> {
    if (active + this.#underWay >= tenantAlarmsMax) {
      return { kind: 'noRoom', failure: { kind: 'tooMany', what: 'alarms', max: tenantAlarmsMax } };
    }
    this.#underWay++;
    try {
      return { kind: 'proposed', value: await propose() };
    } finally {
      this.#underWay--;
    }
  }
}
