/** What the writer's thread imports: makes the gate that is asked before each COMMIT. */
export default function openGate(): never {
  throw new Error('this version of @poolite/store has no gate');
}
