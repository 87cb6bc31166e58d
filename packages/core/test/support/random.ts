/** Numbers from 0 to 1, of a seed that is shown, so that a run can be repeated. */
export function shownRandom(seed = Math.floor(Math.random() * 1e9)): () => number {
  console.log(`seed ${seed}`);
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
