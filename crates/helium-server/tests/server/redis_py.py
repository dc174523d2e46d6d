"""What redis-py does with a server: pipelines, transactions with WATCH, scans; over both protocols."""
import os

import redis

for protocol in (2, 3):
    client = redis.Redis(port=int(os.environ["PORT"]), protocol=protocol, decode_responses=True)
    client.flushall()
    assert client.ping()
    assert client.set("a", 1) and client.get("a") == "1"
    assert client.set("a", 2, nx=True) is None
    assert client.set("a", 3, xx=True, get=True) == "1"
    assert client.incr("a", 4) == 7 and client.incrbyfloat("f", 0.5) == 0.5
    assert client.mset({"b": 1, "c": 2}) and client.mget("a", "b", "x") == ["7", "1", None]
    assert client.delete("b", "x") == 1 and client.exists("a", "c") == 2
    assert client.getrange("a", 0, -1) == "7" and client.strlen("a") == 1
    assert client.ttl("a") == -1 and client.type("a") == "string"
    assert client.info("server")["redis_mode"] == "standalone"
    assert client.config_get("databases") == {"databases": "16"}
    assert client.client_id() > 0 and "id" in client.client_list()[0]
    for number in range(100):
        client.set(f"key:{number:02}", number)
    assert sorted(client.scan_iter("key:*", count=7)) == [f"key:{number:02}" for number in range(100)]
    assert client.keys("key:0?") == [f"key:{number:02}" for number in range(10)]
    assert client.dbsize() == 103

    with client.pipeline() as pipe:
        assert pipe.set("p", 1).incr("p").get("p").execute() == [True, 2, "2"]

    def double(pipe):
        value = int(pipe.get("p"))
        pipe.multi()
        pipe.set("p", 2 * value)

    assert client.transaction(double, "p") == [True] and client.get("p") == "4"
    with client.pipeline() as pipe:
        pipe.watch("p")
        client.set("p", 5)
        pipe.multi()
        pipe.set("p", 6)
        try:
            pipe.execute()
            raise AssertionError("the write of another connection was not noticed")
        except redis.WatchError:
            pass
    try:
        client.incr("nan") if client.set("nan", "x") else None
        raise AssertionError("x is no number")
    except redis.ResponseError as why:
        assert str(why) == "value is not an integer or out of range"
    assert client.execute_command("HE.NEXT", "a") == ["c", "2"]
    client.close()
