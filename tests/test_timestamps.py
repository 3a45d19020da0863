"""The time of a line: formats of real software, one sample line of each in our own words.

All are the same instant, 2026-11-23 13:42:01 in the local zone unless the line has another
one, which the table says. The samples of TAILMERGE_SAMPLES, a folder of real logs, are
compared with another parser where it is set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from tailmerge.timestamps import Clock

SECOND = 1_000_000_000
INSTANT = int(datetime(2026, 11, 23, 13, 42, 1, tzinfo=UTC).timestamp()) * SECOND
NOW = INSTANT / SECOND + 3600
MS, US, NS = 123_000_000, 123_456_000, 123_456_789

SetZone = Callable[[str], None]


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetZone]:
    """The local zone is what a test says; afterwards it is what it was."""

    def set_it(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_it
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _greenwich(set_zone: SetZone) -> None:
    set_zone("UTC")


def clock(**settings: object) -> Clock:
    return Clock(**{"now": lambda: NOW, **settings})  # type: ignore[arg-type]


FORMATS: list[tuple[str, str, int]] = [
    # ISO 8601 and its relatives
    ("RFC 3339", "2026-11-23T13:42:01Z hello", 0),
    ("RFC 3339, ms", "2026-11-23T13:42:01.123Z hello", MS),
    ("RFC 3339, us and an offset", "2026-11-23T15:42:01.123456+02:00 hello", US),
    ("RFC 3339, ns, containerd", "2026-11-23T13:42:01.123456789Z stdout F hello", NS),
    ("offset without a colon", "2026-11-23T15:42:01+0200 hello", 0),
    ("offset of hours", "2026-11-23 15:42:01.123456+02 [1] LOG:  hello", US),
    ("offset behind a blank", "2026-11-23 08:12:01 -0530 hello", 0),
    ("no zone", "2026-11-23 13:42:01 hello", 0),
    ("a T and no zone", "2026-11-23T13:42:01.123 hello", MS),
    ("lower case", "2026-11-23 13:42:01.123Z", MS),
    ("python logging", "2026-11-23 13:42:01,123 INFO root: hello", MS),
    ("python logging, the level first", "INFO 2026-11-23 13:42:01,123 views 7 8 hello", MS),
    ("python basicConfig with a name", "WARNING:2026-11-23 13:42:01,123:hello", MS),
    ("basic", "20261123T134201Z hello", 0),
    ("basic, ms", "20261123T134201.123Z hello", MS),
    ("basic, a blank", "20261123 134201 hello", 0),
    ("basic date", "20261123 13:42:01.123 hello", MS),
    ("fourteen digits", "20261123134201 hello", 0),
    ("points", "2026.11.23 13:42:01 hello", 0),
    ("DB2", "2026-11-23-13.42.01.123456 I1234 LEVEL: Info", US),
    ("ms behind a colon", "2026-11-23 13:42:01:123 hello", MS),
    ("one digit of an hour", "2026-11-23 3:42:01 PM +0200 hello", 0),
    # databases
    ("postgres", "2026-11-23 13:42:01.123 UTC [12345] LOG:  checkpoint starting: time", MS),
    ("mysql", "2026-11-23T13:42:01.123456Z 0 [Note] [MY-010051] [Server] hello", US),
    ("mysql 5.5", "261123 13:42:01 [Note] hello", 0),
    ("mysql slow log", "# Time: 2026-11-23T13:42:01.123456Z", US),
    ("mariadb", "2026-11-23 13:42:01 0 [Note] InnoDB: hello", 0),
    ("mongodb", '{"t":{"$date":"2026-11-23T13:42:01.123+00:00"},"s":"I","id":2}', MS),
    ("mongodb 4.2", "2026-11-23T13:42:01.123+0000 I  NETWORK  [listener] hello", MS),
    ("redis", "1234:M 23 Nov 2026 13:42:01.123 * Ready to accept connections", MS),
    ("redis 2", "[1234] 23 Nov 13:42:01.123 # Server started", MS),
    ("elasticsearch", "[2026-11-23T13:42:01,123][INFO ][o.e.n.Node ] [n1] started", MS),
    ("cassandra", "INFO  [main] 2026-11-23 13:42:01,123 Node.java:12 - hello", MS),
    ("influxdb", 'ts=2026-11-23T13:42:01.123456Z lvl=info msg="hello" log_id=0', US),
    ("oracle", "2026-11-23T13:42:01.123456+00:00\n", US),
    ("clickhouse", "2026.11.23 13:42:01.123456 [ 12 ] {} <Information> A: hello", US),
    ("cockroach", "I261123 13:42:01.123456 1 util/log/x.go:12 ⋮ [n1] hello", US),
    # queues and the world of Java
    ("kafka", "[2026-11-23 13:42:01,123] INFO [Log partition=a-0] hello (kafka.log.Log)", MS),
    ("rabbitmq", "2026-11-23 13:42:01.123456+00:00 [info] <0.1.0> hello", US),
    ("rabbitmq 3.6", "=INFO REPORT==== 23-Nov-2026::13:42:01 ===", 0),
    ("tomcat", "23-Nov-2026 13:42:01.123 INFO [main] o.a.c.s.X.load hello", MS),
    ("jboss", "2026-11-23 13:42:01,123 INFO  [org.jboss.as] (MSC 1-1) hello", MS),
    ("wildfly", "13:42:01,123 INFO  [org.jboss.as] (MSC 1-1) hello", MS),
    ("logback", "13:42:01.123 [main] INFO  c.e.App - hello", MS),
    ("java.util.logging", "Nov 23, 2026 1:42:01 PM com.example.Main run", 0),
    ("java.util.logging, new blanks", "Nov 23, 2026, 1:42:01\u202fPM c.e.M run", 0),
    ("spring boot", "2026-11-23T13:42:01.123Z  INFO 7 --- [main] c.e.App : hello", MS),
    ("websphere", "[11/23/26 13:42:01:123 UTC] 00000001 A   hello", MS),
    ("weblogic", "<Nov 23, 2026 1:42:01 PM GMT> <Info> <Security> <BEA-1> <hello>", 0),
    ("glassfish", "[2026-11-23T13:42:01.123+0000] [glassfish 5] [INFO] [] [x] hello", MS),
    ("zookeeper", "2026-11-23 13:42:01,123 [myid:1] - INFO  [main:X@1] - hello", MS),
    ("spark", "26/11/23 13:42:01 INFO SparkContext: Running", 0),
    ("hdfs", "261123 134201 148 INFO dfs.DataNode: hello", 0),
    ("gc", "[2026-11-23T13:42:01.123+0000][info][gc] GC(1) Pause", MS),
    ("log4j's xml", '<log4j:event logger="a" timestamp="1795441321123" level="INFO">', MS),
    # web servers
    ("apache access", '10.0.0.1 - bob [23/Nov/2026:13:42:01 +0000] "GET / HTTP/1.1" 200 5', 0),
    ("apache access, v6", '2001:db8::1 - - [23/Nov/2026:15:42:01 +0200] "GET /" 200 5', 0),
    ("apache vhost", 'a.example:443 10.0.0.1 - - [23/Nov/2026:13:42:01 +0000] "GET /" 200', 0),
    ("apache error", "[Mon Nov 23 13:42:01.123456 2026] [core:error] [pid 1] hello", US),
    ("apache error 2.2", "[Mon Nov 23 13:42:01 2026] [error] hello", 0),
    ("nginx error", "2026/11/23 13:42:01 [error] 7#7: *1 open() failed", 0),
    ("IIS", "2026-11-23 13:42:01 10.0.0.1 GET / - 80 - 10.0.0.2 curl 200 0 0 5", 0),
    ("haproxy", "10.0.0.1:5000 [23/Nov/2026:13:42:01.123] web~ b/s 0/0/0/1/1 200", MS),
    ("squid", "1795441321.123    456 10.0.0.1 TCP_MISS/200 1 GET http://e/ - D/1 t", MS),
    ("squid cache", "2026/11/23 13:42:01 kid1| Starting Squid Cache", 0),
    ("traefik", 'time="2026-11-23T13:42:01Z" level=info msg="hello"', 0),
    ("traefik access", '10.0.0.1 - - [23/Nov/2026:13:42:01 +0000] "GET /" 200 1 "-" "-" 1', 0),
    ("envoy", '[2026-11-23T13:42:01.123Z] "GET / HTTP/1.1" 200 - 0 5', MS),
    ("envoy itself", "[2026-11-23 13:42:01.123][1][info][main] [source/x.cc:1] hello", MS),
    ("caddy", '{"level":"info","ts":1795441321.123456,"msg":"hello"}', US),
    ("varnish", '10.0.0.1 - - [23/Nov/2026:13:42:01 +0000] "GET http://e/ HTTP/1.1" 200', 0),
    ("lighttpd", "2026-11-23 13:42:01: (server.c.1) server started", 0),
    ("s3", 'b5f7 bucket [23/Nov/2026:13:42:01 +0000] 10.0.0.1 - 3E5 REST.GET "GET" 200', 0),
    ("ELB", "2026-11-23T13:42:01.123456Z my-lb 10.0.0.1:1 10.0.0.2:80 0.1 200", US),
    ("ALB", "https 2026-11-23T13:42:01.123456Z app/my-lb/1 10.0.0.1:1 200", US),
    ("cloudfront", "2026-11-23\t13:42:01\tFRA2\t2390\t10.0.0.1\tGET", 0),
    ("uwsgi", "[pid: 8|app: 0|req: 1/1] 10.0.0.1 () {38 vars} [Mon Nov 23 13:42:01 2026] GET", 0),
    ("gunicorn", "[2026-11-23 13:42:01 +0000] [8] [INFO] Booting worker", 0),
    ("django", '[23/Nov/2026 13:42:01] "GET / HTTP/1.1" 200 0', 0),
    ("werkzeug", '10.0.0.1 - - [23/Nov/2026 13:42:01] "GET / HTTP/1.1" 200 -', 0),
    ("rails", "I, [2026-11-23T13:42:01.123456 #8]  INFO -- : hello", US),
    ("rails, requests", 'Started GET "/" for 10.0.0.1 at 2026-11-23 13:42:01 +0000', 0),
    ("laravel", "[2026-11-23 13:42:01] local.ERROR: hello", 0),
    ("php", "[23-Nov-2026 13:42:01 UTC] PHP Warning:  hello", 0),
    ("php-fpm", "[23-Nov-2026 13:42:01] NOTICE: ready to handle connections", 0),
    ("celery", "[2026-11-23 13:42:01,123: INFO/MainProcess] hello", MS),
    ("airflow", "[2026-11-23T13:42:01.123+0000] {taskinstance.py:1} INFO - hello", MS),
    ("phoenix", "13:42:01.123 [info] GET /", MS),
    # system
    ("syslog", "Nov 23 13:42:01 host sshd[1]: hello", 0),
    ("syslog, priority", "<34>Nov 23 13:42:01 host su: hello", 0),
    ("syslog, RFC 5424", "<34>1 2026-11-23T13:42:01.123Z host app 1 ID47 - hello", MS),
    ("rsyslog", "2026-11-23T13:42:01.123456+00:00 host app: hello", US),
    ("auditd", "type=SYSCALL msg=audit(1795441321.123:456): arch=c000003e", MS),
    ("auditd with a node", "node=a type=LOGIN msg=audit(1795441321.123:456): pid=1", MS),
    ("dmesg -T", "[Mon Nov 23 13:42:01 2026] usb 1-1: new device", 0),
    ("dmesg, iso", "2026-11-23T13:42:01,123456+00:00 usb 1-1: new device", US),
    ("journalctl short-full", "Mon 2026-11-23 13:42:01 UTC host app[1]: hello", 0),
    ("journalctl short-iso", "2026-11-23T13:42:01+0000 host app[1]: hello", 0),
    ("journalctl short-precise", "Nov 23 13:42:01.123456 host app[1]: hello", US),
    ("journalctl short-unix", "1795441321.123456 host app[1]: hello", US),
    ("journald json", '{"MESSAGE":"a","__REALTIME_TIMESTAMP":"1795441321123456"}', US),
    ("postfix", "Nov 23 13:42:01 mail postfix/smtpd[1]: connect from a[10.0.0.1]", 0),
    ("dovecot", "Nov 23 13:42:01 imap-login: Info: hello", 0),
    ("bind", "23-Nov-2026 13:42:01.123 queries: info: client 10.0.0.1#5", MS),
    ("openvpn", "Mon Nov 23 13:42:01 2026 TCP/UDP: hello", 0),
    ("cisco", "*Nov 23 13:42:01.123: %SYS-5-CONFIG_I: hello", MS),
    ("cisco asa", "Nov 23 2026 13:42:01: %ASA-6-302013: hello", 0),
    ("cisco, a counter", "000123: Nov 23 13:42:01.123 UTC: %LINK-3-UPDOWN: hello", MS),
    ("fortigate", 'date=2026-11-23 time=13:42:01 devname="a" logid="1"', 0),
    ("qmail", "@400000006b0442b3075aca00 status: local 0/10", 123390464),
    ("nagios", "[1795441321] SERVICE ALERT: a;b;OK", 0),
    ("samba", "[2026/11/23 13:42:01.123456,  0] ../source3/x.c:1(main)", US),
    ("cups", 'localhost - - [23/Nov/2026:13:42:01 +0000] "POST / HTTP/1.1" 200 1', 0),
    ("vsftpd", 'Mon Nov 23 13:42:01 2026 [pid 1] CONNECT: Client "10.0.0.1"', 0),
    ("dpkg", "2026-11-23 13:42:01 status installed a:amd64 1.2-3", 0),
    ("pacman", "[2026-11-23T13:42:01+0000] [ALPM] installed a (1.2-3)", 0),
    ("apt history", "Start-Date: 2026-11-23  13:42:01", 0),
    ("fail2ban", "2026-11-23 13:42:01,123 fail2ban.actions [1]: NOTICE [sshd] Ban a", MS),
    ("suricata", "11/23/2026-13:42:01.123456  [**] [1:2:3] hello [**]", US),
    ("suricata eve", '{"timestamp":"2026-11-23T13:42:01.123456+0000","flow_id":1}', US),
    ("zeek", "1795441321.123456\tCabc\t10.0.0.1\t5\t10.0.0.2\t80", US),
    ("android", "11-23 13:42:01.123  1234  5678 I ActivityManager: hello", MS),
    ("xorg.conf's date", "(==) Log file: x, Time: Mon Nov 23 13:42:01 2026", 0),
    ("wget", "--2026-11-23 13:42:01--  http://example.com/", 0),
    ("git log", "Date:   Mon Nov 23 15:42:01 2026 +0200", 0),
    ("mail", "Date: Mon, 23 Nov 2026 15:42:01 +0200", 0),
    ("windows", "11/23/2026 1:42:01 PM hello", 0),
    ("windows, german", "23.11.2026 13:42:01 hello", 0),
    ("british", "23/11/2026 13:42:01 hello", 0),
    ("windows cbs", "2026-11-23 13:42:01, Info                  CBS    hello", 0),
    ("windows event", "<TimeCreated SystemTime='2026-11-23T13:42:01.1234567Z'/>", 123_456_700),
    ("javascript", "Mon Nov 23 2026 15:42:01 GMT+0200 (CEST) hello", 0),
    ("http date", "Mon, 23 Nov 2026 13:42:01 GMT hello", 0),
    ("long names", "Monday, November 23, 2026 1:42:01 PM hello", 0),
    # containers and Go
    ("klog", "I1123 13:42:01.123456       1 controller.go:12] hello", US),
    ("glog with a year", "I20261123 13:42:01.123456  1 x.cc:12] hello", US),
    ("go's log", "2026/11/23 13:42:01 hello", 0),
    ("go's log, us", "2026/11/23 13:42:01.123456 x.go:12: hello", US),
    ("go's slog", 'time=2026-11-23T13:42:01.123Z level=INFO msg="hello"', MS),
    ("docker daemon", 'time="2026-11-23T13:42:01.123456789Z" level=info msg="a"', NS),
    ("docker json", '{"log":"a\\n","stream":"stdout","time":"2026-11-23T13:42:01.123456789Z"}', NS),
    ("compose", "web-1  | 2026-11-23T13:42:01.123Z hello", MS),
    ("compose with json", 'web-1  | {"level":"info","ts":1795441321.123,"msg":"a"}', MS),
    ("kubectl --prefix", "[pod/web-1/nginx] 2026-11-23T13:42:01.123Z hello", MS),
    ("etcd", '{"level":"info","ts":"2026-11-23T13:42:01.123456Z","msg":"a"}', US),
    ("etcd 3.3", "2026-11-23 13:42:01.123456 I | etcdserver: hello", US),
    ("zap", '{"level":"info","ts":1795441321.123,"caller":"x.go:1","msg":"a"}', MS),
    ("zap's console", "2026-11-23T13:42:01.123Z\tINFO\tx.go:12\thello", MS),
    ("zerolog", '{"level":"info","time":1795441321,"message":"a"}', 0),
    ("logrus", 'time="2026-11-23T13:42:01Z" level=info msg=a', 0),
    ("prometheus", "ts=2026-11-23T13:42:01.123Z caller=main.go:1 level=info msg=a", MS),
    ("grafana", "logger=a t=2026-11-23T13:42:01.123456789Z level=info msg=a", NS),
    ("grafana's old", "t=2026-11-23T13:42:01+0000 lvl=info msg=a", 0),
    ("heroku", "2026-11-23T13:42:01.123456+00:00 app[web.1]: hello", US),
    ("consul", "    2026/11/23 13:42:01 [INFO] agent: hello", 0),
    ("vault", "2026-11-23T13:42:01.123Z [INFO]  core: hello", MS),
    # JSON
    ("bunyan", '{"name":"a","req":{"time":1},"msg":"x","time":"2026-11-23T13:42:01.123Z","v":0}', MS),  # noqa: E501
    ("pino", '{"level":30,"time":1795441321123,"pid":1,"msg":"a"}', MS),
    ("winston", '{"level":"info","message":"a","timestamp":"2026-11-23T13:42:01.123Z"}', MS),
    ("ECS", '{"@timestamp":"2026-11-23T13:42:01.123Z","log.level":"info"}', MS),
    ("GELF", '{"version":"1.1","host":"a","short_message":"b","timestamp":1795441321.123}', MS),
    ("serilog", '{"@t":"2026-11-23T13:42:01.1234567Z","@mt":"a"}', 123_456_700),
    ("cloudtrail", '{"eventVersion":"1.08","eventTime":"2026-11-23T13:42:01Z","a":1}', 0),
    ("log4j2", '{"instant":{"epochSecond":1795441321,"nanoOfSecond":123000000},"a":1}', MS),
    ("google", '{"message":"a","timestamp":{"seconds":1795441321,"nanos":123000000}}', MS),
    ("ns in a string", '{"t": "1795441321123456789", "m": "a"}', NS),
    ("blanks", '{ "time" : "2026-11-23 13:42:01" , "m" : "a" }', 0),
    ("an unknown key", '{"m":"a","my_event_time":"2026-11-23T13:42:01Z"}', 0),
    ("cut short", '{"time":"2026-11-23T13:42:01Z","m":"a', 0),
    # epochs, colours, quotes
    ("ms", "1795441321123 hello", MS),
    ("us", "1795441321123456 hello", US),
    ("ns", "1795441321123456789 hello", NS),
    ("in brackets", "[1795441321.123] hello", MS),
    ("coloured", "\x1b[32m2026-11-23 13:42:01\x1b[0m hello", 0),
    ("coloured level", "\x1b[34mINFO\x1b[0m[2026-11-23T13:42:01Z] hello", 0),
    ("coloured inside", "\x1b[1mNov 23\x1b[0m \x1b[2m13:42:01\x1b[0m host a: hello", 0),
    ("quoted", '"2026-11-23 13:42:01"\t"a"\t"b"', 0),
    ("csv", "1,2026/11/23 13:42:01,0123456789,TRAFFIC,end", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "fraction"), [row[1:] for row in FORMATS], ids=[row[0] for row in FORMATS]
)
def test_the_time_of_a_format_is_recognised(line: str, fraction: int) -> None:
    expected = INSTANT + fraction
    assert clock().find_time(line.encode() + b"\n") == expected
    assert clock().find_times([line.encode() + b"\r\n"] * 3) == [expected] * 3
