// What tests use of this level's code has the types of today.
export { Driver } from '../../../src/driver/driver.ts';
export { decodeEnvelope, encodeEnvelope } from '../../../src/driver/envelope.ts';
