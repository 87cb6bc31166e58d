import { defineConfig } from 'tsup';
import { withProgram } from '../../tsup.shared.ts';

export default defineConfig(withProgram({ thread: 'src/thread-program.ts' }));
