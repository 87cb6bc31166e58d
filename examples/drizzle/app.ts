import { Hono } from 'hono';
import type { Database } from './database.ts';
import { page, standingPart } from './page.ts';
import { addOption, castVote, standing } from './poll.ts';

export function createApp(db: Database): Hono {
  const app = new Hono();

  app.get('/', async (c) => c.html(page(await standing(db))));

  app.get('/standing', async (c) => c.html(standingPart(await standing(db))));

  app.post('/options/:id{[0-9]+}/votes', async (c) => {
    const votes = await castVote(db, Number(c.req.param('id')));
    if (votes === undefined) return c.text('There is no such option', 404);
    return c.json({ votes }, 201);
  });

  app.post('/options', async (c) => {
    const { name } = await c.req.parseBody();
    const trimmed = typeof name === 'string' ? name.trim() : '';
    if (trimmed === '' || trimmed.length > 60) return c.text('A name has 1 to 60 letters', 400);
    if (!(await addOption(db, trimmed))) return c.text(`${trimmed} is there already`, 409);
    return c.text('Added', 201);
  });

  return app;
}
