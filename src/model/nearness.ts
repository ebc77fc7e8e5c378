// Which locations are near to a reader, as the crow flies. The platform chooses where an object with a hint runs, so
// one point for each hint is as exact as this can be.

import type { LocationHint } from './locations.ts';

/** Latitude and longitude, in degrees. */
export type Point = { readonly latitude: number; readonly longitude: number };

/** What the platform tells of where a request came from (`request.cf`). A local server tells nothing. */
export type Origin = { readonly continent?: unknown; readonly latitude?: unknown; readonly longitude?: unknown };

const hintPoints: Readonly<Record<LocationHint, Point>> = {
  wnam: { latitude: 37.4, longitude: -122.1 },
  enam: { latitude: 39, longitude: -77.5 },
  sam: { latitude: -23.5, longitude: -46.6 },
  weur: { latitude: 50.5, longitude: 4.5 },
  eeur: { latitude: 51, longitude: 21 },
  apac: { latitude: 22.3, longitude: 114.2 },
  'apac-ne': { latitude: 35.7, longitude: 139.7 },
  'apac-se': { latitude: 1.4, longitude: 103.8 },
  oc: { latitude: -33.9, longitude: 151.2 },
  afr: { latitude: -26.2, longitude: 28 },
  me: { latitude: 25.2, longitude: 55.3 },
};

/** The location of most readers of a continent, for a request of which only the continent is known. */
const continentPoints: Readonly<Record<string, Point>> = {
  NA: { latitude: 40, longitude: -88 },
  SA: { latitude: -20, longitude: -48 },
  EU: { latitude: 50, longitude: 9 },
  AF: { latitude: -1, longitude: 33 },
  AS: { latitude: 25, longitude: 110 },
  OC: { latitude: -34, longitude: 149 },
};

/** Null: the platform does not say where the reader is. */
export function pointOf(origin: Origin): Point | null {
  const latitude = degrees(origin.latitude);
  const longitude = degrees(origin.longitude);
  if (latitude !== null && longitude !== null) return { latitude, longitude };
  return typeof origin.continent === 'string' ? (continentPoints[origin.continent] ?? null) : null;
}

/** The distance in radians of the globe. It is infinite for a name that is no location hint. */
export function distanceTo(location: string, reader: Point): number {
  const place = isHint(location) ? hintPoints[location] : null;
  return place === null ? Number.POSITIVE_INFINITY : centralAngle(place, reader);
}

/** The haversine formula. */
function centralAngle(left: Point, right: Point): number {
  const latitude = radians(right.latitude - left.latitude);
  const longitude = radians(right.longitude - left.longitude);
  const chord =
    Math.sin(latitude / 2) ** 2 +
    Math.cos(radians(left.latitude)) * Math.cos(radians(right.latitude)) * Math.sin(longitude / 2) ** 2;
  return 2 * Math.asin(Math.min(1, Math.sqrt(chord)));
}

function radians(angle: number): number {
  return (angle * Math.PI) / 180;
}

/** The platform gives latitude and longitude as text. */
function degrees(value: unknown): number | null {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

function isHint(text: string): text is LocationHint {
  return Object.hasOwn(hintPoints, text);
}
