// The Worker's entry: what the platform looks for, and no logic.

import { createApp, handle } from './gateway/app.ts';
import type { Env } from './gateway/env.ts';
import { runSchedule } from './gateway/schedule.ts';

export { Replica } from './replica/replica.ts';

/** One app for each isolate: its caches live as long as the isolate does. */
let app: ReturnType<typeof createApp> | null = null;

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    app ??= createApp(env);
    return handle(app, request);
  },

  scheduled({ scheduledTime }: ScheduledController, env: Env): Promise<void> {
    return runSchedule(env, scheduledTime);
  },
};
