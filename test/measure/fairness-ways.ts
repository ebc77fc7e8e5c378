// What hostile tenants do, one each.

export const hostileWays = [
  'huge lists',
  'huge transactions',
  'thousands of watches',
  'logins',
  'slow readers',
] as const;
export type HostileWay = (typeof hostileWays)[number];
