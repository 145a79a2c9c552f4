export { cacheSuite } from './cache-suite.ts';
export { startRedis, type TestRedis } from './start-redis.ts';
