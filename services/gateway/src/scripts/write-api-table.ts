import { writeFile } from 'node:fs/promises';
import { apiTable } from './api-table.ts';

await writeFile(new URL('../../../../docs/docker-api.md', import.meta.url), apiTable());
