// What Cloudflare asks for, in US dollars, on the paid plan of Workers. Looked up on 2026-11-30 in copies of its pages:
//   https://developers.cloudflare.com/durable-objects/platform/pricing   (objects: compute, SQLite storage)
//   https://developers.cloudflare.com/workers/platform/pricing           (Workers: requests, CPU)
// A row that is deleted is billed as one that is written, and so is each row of an index. A call of one object to
// another is a request. Of messages that come in on WebSockets twenty are a request; those that go out are free, and so
// are pings that the platform answers. An object takes 128 MB for as long as it is busy or has a timer; asleep, or
// ready to sleep, it takes nothing.

const perMillion = 1e-6;

export const pricesOf = '2026-11-30';

/** Dollars for one. */
export const prices = {
  rowsWritten: 1.0 * perMillion,
  rowsRead: 0.001 * perMillion,
  objectRequests: 0.15 * perMillion,
  /** 12.50 a million GB-seconds, of 128 MB. */
  objectSeconds: 12.5 * perMillion * 0.128,
  workerRequests: 0.3 * perMillion,
  workerCpuMs: 0.02 * perMillion,
  storedGbMonths: 0.2,
} as const;

export const messagesOfRequest = 20;

/** What the plan has in it each month, for all tenants of an account together, and its price. */
export const plan = {
  dollarsAMonth: 5,
  included: {
    rowsWritten: 50e6,
    rowsRead: 25e9,
    objectRequests: 1e6,
    objectSeconds: 400_000 / 0.128,
    workerRequests: 10e6,
    workerCpuMs: 30e6,
    storedGbMonths: 5,
  },
} as const;
