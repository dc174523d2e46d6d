// What ioredis does with a server.
const assert = require("assert");
const Redis = require("ioredis");
const client = new Redis({ port: Number(process.env.PORT) });

async function main() {
  await client.flushall();
  assert.equal(await client.set("a", "1"), "OK");
  assert.equal(await client.incr("a"), 2);
  assert.deepEqual(await client.mget("a", "x"), ["2", null]);
  const done = await client.multi().set("b", "1").get("b").exec();
  assert.deepEqual(done, [[null, "OK"], [null, "1"]]);
  const piped = await client.pipeline().get("a").get("b").exec();
  assert.deepEqual(piped, [[null, "2"], [null, "1"]]);
  const [cursor, keys] = await client.scan(0, "COUNT", 100);
  assert.deepEqual([cursor, keys], ["0", ["a", "b"]]);
  assert.deepEqual(await client.call("HE.NEXT", "a"), ["b", "1"]);
  await client.quit();
}

main().catch((why) => {
  console.error(why);
  process.exit(1);
});
