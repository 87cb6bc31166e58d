import { html, raw } from 'hono/html';
import type { Standing } from './poll.ts';

const STYLE = `
  body { font: 1.1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 34rem; padding: 0 1rem; }
  li { align-items: center; display: flex; gap: 1rem; list-style: none; margin: 0.5rem 0; }
  ul { padding: 0; }
  .name { flex: 1; }
  .votes { font-variant-numeric: tabular-nums; }
  button, input { font: inherit; padding: 0.2rem 0.8rem; }
  .error { color: #b00020; }
`;

/** Runs in the browser: the page works without a reload. */
const SCRIPT = `
  const say = (text) => { document.querySelector('#error').textContent = text; };
  const refresh = async () => {
    const answer = await fetch('/standing');
    document.querySelector('#standing').innerHTML = await answer.text();
  };
  const post = async (path, body) => {
    const answer = await fetch(path, { method: 'POST', body });
    if (!answer.ok) throw new Error(await answer.text());
  };
  const act = async (work) => {
    say('');
    try { await work(); } catch (error) { say(error.message); }
    await refresh();
  };
  document.addEventListener('click', ({ target }) => {
    const { option, times } = target.dataset ?? {};
    if (option === undefined) return;
    const votes = Array.from({ length: Number(times) }, () => post('/options/' + option + '/votes'));
    act(() => Promise.all(votes));
  });
  document.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    const form = event.target;
    act(async () => { await post('/options', new FormData(form)); form.reset(); });
  });
`;

/** The part of the page that votes change. */
export function standingPart({ options, latest, cast }: Standing) {
  const counted = options.reduce((sum, { votes }) => sum + votes, 0);
  return html`<ul>
    ${options.map(
      ({ id, name, votes }) => html`<li>
        <span class="name">${name}</span>
        <span class="votes">${votes}</span>
        <button data-option="${id}" data-times="1" aria-label="Vote for ${name}">Vote</button>
        <button data-option="${id}" data-times="50" aria-label="50 votes for ${name}">50 at once</button>
      </li>`,
    )}
  </ul>
  <p id="total">${counted} votes counted, ${cast} cast</p>
  <p id="latest">${latest ? `Latest: ${latest.option.name}` : 'Nobody has voted yet'}</p>`;
}

export function page(standing: Standing) {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>Poll</title>
    <link rel="icon" href="data:,">
    <style>${raw(STYLE)}</style>
  </head>
  <body>
    <h1>Poll</h1>
    <div id="standing">${standingPart(standing)}</div>
    <form>
      <input name="name" placeholder="Another name" aria-label="Another name" required maxlength="60">
      <button>Add</button>
    </form>
    <p id="error" class="error" role="alert"></p>
    <script>${raw(SCRIPT)}</script>
  </body>
</html>`;
}
