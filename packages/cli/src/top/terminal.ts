const CTRL_C = 3;

/**
 * Listens to the keyboard for `q`: calls `quit`, as also for Ctrl-C, which a terminal in raw mode
 * gives as a key. Returns what sets the terminal back.
 */
export function onQuitKey(quit: () => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => {};
  const onData = (keys: Buffer) => {
    if (keys.includes(CTRL_C) || keys.includes('q') || keys.includes('Q')) quit();
  };
  stdin.setRawMode(true);
  stdin.on('data', onData);
  return () => {
    stdin.off('data', onData);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
