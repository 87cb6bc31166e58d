import { defineConfig } from 'tsup';
import { withProgram } from '../../tsup.shared.ts';

// The writer's thread imports the gate, whoever made the pool.
export default defineConfig(withProgram({ gate: 'src/gate/program.ts' }));
