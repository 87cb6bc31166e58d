/**
 * A result as text that tells apart what callers can: -0 and 0, a Buffer and a Uint8Array, the
 * order of properties.
 */
export function canonical(value: unknown): string {
  if (Object.is(value, -0)) return '-0';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(', ')}]`;
  const { name } = Object.getPrototypeOf(value).constructor;
  if (value instanceof Uint8Array) return `${name}<${Buffer.from(value).toString('hex')}>`;
  const entries = Reflect.ownKeys(value).map(
    (key) => `${canonical(key)}: ${canonical((value as Record<PropertyKey, unknown>)[key])}`,
  );
  return `${name} { ${entries.join(', ')} }`;
}
