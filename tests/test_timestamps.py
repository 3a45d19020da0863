"""The time of a line: formats of real software, one sample line of each in our own words.

All are the same instant, 2026-11-23 13:42:01 in the local zone unless the line has another
one, which the table says. The samples of TAILMERGE_SAMPLES, a folder of real logs, are
compared with another parser where it is set.
"""

from __future__ import annotations

import os
import random
import re
from datetime import UTC, datetime
from pathlib import Path

import dateutil.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zones import SECOND, SetZone, clock

from tailmerge.timestamps import Clock, format_rfc3339

INSTANT = int(datetime(2026, 11, 23, 13, 42, 1, tzinfo=UTC).timestamp()) * SECOND
MS, US, NS = 123_000_000, 123_456_000, 123_456_789


@pytest.fixture(autouse=True)
def _greenwich(set_zone: SetZone) -> None:
    set_zone("UTC")


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
    ("boost", "2026-Nov-23 13:42:01.123 hello", MS),
    ("cisco nexus", "2026 Nov 23 13:42:01 host %A-5-B: hello", 0),
    ("minecraft forge", "[23Nov2026 13:42:01.123] [main/INFO] [x/]: hello", MS),
    ("minecraft", "[2026-11-23][13:42:01] hello", 0),
    ("tornado", "[I 261123 13:42:01 web:1] 200 GET /", 0),
    ("jupyter", "[I 2026-11-23 13:42:01.123 ServerApp] hello", MS),
    ("joined by hyphens", "Nov-23-2026 13:42:01 hello", 0),
    ("day of the year", "2026-327T13:42:01Z hello", 0),
    ("chinese", "2026年11月23日 13:42:01 hello", 0),
    ("snort", "11/23-13:42:01.123456  [**] [1:2:3] hello", US),
    ("proxifier", "[11.23 13:42:01] a.exe - b:443 open", 0),
    ("CEF", "CEF:0|a|b|1|2|c|5|rt=1795441321123 src=10.0.0.1", MS),
    ("loguru's json", '{"text":"a","record":{"a":1,"time":{"timestamp":1795441321.123}}}', MS),
    ("google's agent", '{"m":"a","timestampSeconds":1795441321,"timestampNanos":123000000}', MS),
    ("BGL", "- 1795441321 2026.11.23 R02 2026-11-23-13.42.01.123456 R02 RAS INFO a", 0),
    ("openstack", "nova.log 2026-11-23 13:42:01.123 1 INFO nova.a [req-1 - -] hello", MS),
    ("ceph", "2026-11-23 13:42:01.123456 7f8a12345700  0 hello", US),
    ("asterisk", "[Nov 23 13:42:01] NOTICE[123]: hello", 0),
    ("leveldb", "2026/11/23-13:42:01.123456 7f hello", US),
    ("svlogd", "2026-11-23_13:42:01.12300 hello", MS),
    ("date(1)", "Mon Nov 23 13:42:01 UTC 2026 hello", 0),
    ("fix", "20261123-13:42:01.123 hello", MS),
    ("javascript, en-US", "11/23/2026, 1:42:01 PM hello", 0),
    ("dropwizard", "ERROR [2026-11-23 13:42:01,123] org.a.B: hello", MS),
    ("env_logger", "[2026-11-23T13:42:01Z INFO  app] hello", 0),
    ("go's time.String", "2026-11-23 13:42:01.123456 +0000 UTC m=+0.1 hello", US),
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


WRITTEN = [
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y-%m-%d %H:%M:%S.%f INFO",
    "%Y-%m-%d %H:%M:%S INFO",
    "%Y/%m/%d %H:%M:%S [error]",
    "%Y%m%dT%H%M%SZ",
    "[%Y-%m-%d %H:%M:%S +0000]",
    "10.0.0.1 - - [%d/%b/%Y:%H:%M:%S +0000]",
    "%d-%b-%Y %H:%M:%S.%f INFO",
    "1:M %d %b %Y %H:%M:%S.%f *",
    "[%a %b %d %H:%M:%S.%f %Y] [core]",
    "%a %b %d %H:%M:%S %Y",
    "%b %d, %Y %I:%M:%S %p main",
    "%a, %d %b %Y %H:%M:%S +0000",
    "%d.%m.%Y %H:%M:%S",
    '{"a":"b","time":"%Y-%m-%dT%H:%M:%S.%fZ"}',
    "level=info ts=%Y-%m-%dT%H:%M:%S.%fZ msg=a",
    "web-1  | %Y-%m-%dT%H:%M:%S.%fZ a",
]


@given(
    moments=st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2069, 12, 31)), min_size=1),
    written=st.sampled_from(WRITTEN),
)
def test_what_was_written_is_read_again(moments: list[datetime], written: str) -> None:
    if "%f" not in written:
        moments = [moment.replace(microsecond=0) for moment in moments]
    lines = [moment.strftime(written).encode() + b" message\n" for moment in moments]
    assert clock(utc=True).find_times(lines) == [to_ns(moment) for moment in moments]


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(2026, 10, 1), datetime(2026, 10, 2)),
            st.sampled_from(WRITTEN),
        ),
        max_size=60,
    ),
    st.integers(1, 20),
)
def test_formats_that_alternate_are_read_as_each_alone(
    rows: list[tuple[datetime, str]], size: int
) -> None:
    lines, expected = [], []
    for moment, written in rows:
        exact = moment if "%f" in written else moment.replace(microsecond=0)
        lines.append(moment.strftime(written).encode() + b" message\n")
        expected.append(to_ns(exact))
    one = clock(utc=True)
    found: list[int | None] = []
    for begin in range(0, len(lines), size):
        found += one.find_times(lines[begin : begin + size])
    assert found == expected


def to_ns(moment: datetime) -> int:
    whole = moment.replace(tzinfo=UTC, microsecond=0)
    return int(whole.timestamp()) * SECOND + moment.microsecond * 1000


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_are_too_odd(lines: list[bytes]) -> None:
    first = b"2026-11-23 13:42:01,123 INFO a\n"
    found = clock().find_times([first, *lines, first])
    assert len(found) == len(lines) + 2
    assert found[0] == found[-1] == INSTANT + MS


# raw slices


def test_raw_bytes_sort_where_all_lines_are_alike() -> None:
    lines = [f"2026-11-23 13:42:0{n},{n}00 INFO a\n".encode() for n in range(10)]
    one, other = clock(), clock()
    one.find_times(lines)
    other.find_times(lines[:1])
    assert one.raw_slice == slice(0, 24)
    assert one.raw_key == other.raw_key is not None
    raw = other.find_raw(lines)
    assert raw == [line[:24] for line in lines]
    assert sorted(raw) == raw


@pytest.mark.parametrize(
    "line",
    [
        b"  continued\n",
        b"2026-11-23 13:42:01 INFO a\n",
        b"2026-11-23 13:42:01.123 INFO a\n",
        b"2026-11-23T13:42:01,123 INFO a\n",
        b"",
    ],
)
def test_a_line_that_is_different_has_no_raw_bytes_that_sort(line: bytes) -> None:
    first = b"2026-11-23 13:42:01,123 INFO a\n"
    one = clock()
    one.find_time(first)
    assert one.find_raw([first, line]) is None
    one.find_times([line, first])
    assert one.raw_slice is None
    assert one.raw_key is None


@pytest.mark.parametrize(
    "line",
    [
        "Nov 23 13:42:01 h a: b",
        "23/11/2026 13:42:01 a",
        '{"time":"2026-11-23T13:42:01Z"}',
        "2026-11-23 1:42:01 PM a",
    ],
)
def test_formats_whose_bytes_do_not_sort_have_no_raw_slice(line: str) -> None:
    one = clock()
    one.find_time(line.encode())
    assert one.raw_slice is None


def test_local_times_sort_only_without_daylight_saving(set_zone: SetZone) -> None:
    def has_slice(line: bytes, **settings: bool) -> bool:
        one = clock(**settings)
        one.find_time(line)
        return one.raw_slice is not None

    plain, zoned = b"2026-11-23 13:42:01 a", b"2026-11-23 13:42:01+01:00 a"
    set_zone("Europe/Berlin")
    assert [has_slice(plain), has_slice(plain, utc=True), has_slice(zoned)] == [False, True, True]
    set_zone("Asia/Kolkata")
    assert has_slice(plain)


def test_other_zones_and_fractions_have_other_raw_keys() -> None:
    keys = set()
    for line in (
        *("2026-11-23T13:42:01Z a", "2026-11-23T13:42:01+01:00 a", "2026-11-23T13:42:01 a"),
        *("2026-11-23T13:42:01.1Z a", "2026-11-23T13:42:01.12Z a", "2026-11-23 13:42:01Z a"),
        *("1795441321 a", "1795441321123 a", "2026-11-23T13:42:01,1Z a"),
    ):
        one = clock()
        one.find_time(line.encode())
        keys.add(one.raw_key)
    assert len(keys) == 9
    assert None not in keys


# RFC 3339


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (INSTANT, "2026-11-23T13:42:01"),
        (INSTANT + MS, "2026-11-23T13:42:01.123"),
        (INSTANT + US, "2026-11-23T13:42:01.123456"),
        (INSTANT + NS, "2026-11-23T13:42:01.123456789"),
        (INSTANT + 1000, "2026-11-23T13:42:01.000001"),
        (-1, "1969-12-31T23:59:59.999999999"),
    ],
)
def test_a_time_is_written_with_as_many_digits_as_it_needs(ns: int, text: str) -> None:
    assert format_rfc3339(ns, utc=True) == text + "Z"
    assert format_rfc3339(ns, utc=False) == text + "+00:00"


def test_a_local_time_is_written_with_its_offset(set_zone: SetZone) -> None:
    set_zone("America/St_Johns")
    assert format_rfc3339(INSTANT, utc=False) == "2026-11-23T10:12:01-03:30"


def test_a_year_that_rfc_3339_cannot_write_is_refused() -> None:
    with pytest.raises(ValueError, match="four digits"):
        format_rfc3339(10**21, utc=True)


@given(st.integers(-(10**18), 10**19))
def test_what_was_written_as_rfc_3339_is_the_same_time(ns: int) -> None:
    for utc in (True, False):
        assert clock().find_time(format_rfc3339(ns, utc=utc).encode()) in (ns, None)
    if 0 <= ns < 4 * 10**18:
        assert clock().find_time(format_rfc3339(ns, utc=True).encode()) == ns


# samples of real software


def find_samples() -> list[Path]:
    folder = os.environ.get("TAILMERGE_SAMPLES")
    if not folder:
        return []
    named = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
    return [path for path in named if path.stem not in ("LICENSE", "README")]


EMBEDDED = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d| (?:PDT|CEST)\b)?"
    r"|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
    r"|[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d(?: \d{4}\b)?"
    r"|\b\d\d/\d\d/\d\d \d\d:\d\d:\d\d|\b1\d{9}(?:\.\d+|\d{3}|\d{6})?\b"
    r"|^[A-Z]\d{4} [\d:.]+|^\d{6} \d{6}\b"
)
ZONES = {"PDT": -7 * 3600, "CEST": 7200}


def parse_otherwise(line: bytes) -> int | None:
    """The second that dateutil makes of the first piece that looks like a time."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line.decode("utf-8", "replace"))
    found = EMBEDDED.search(text)
    if found is None:
        return None
    piece = found[0].replace(",", ".")
    if piece[:10].isdigit():
        return int(piece[:10])
    piece = re.sub(r"^[A-Z](\d\d)(\d\d) ", r"2026-\1-\2 ", piece)
    piece = re.sub(r"^(\d\d)(\d\d)(\d\d) (\d{6})", r"20\1-\2-\3 \4", piece)
    piece = re.sub(r"^(\d+/\w+/\d+):", r"\1 ", piece)
    is_short = piece[2:3] == "/" and piece[5:6] == "/"
    parsed = dateutil.parser.parse(piece, yearfirst=is_short, tzinfos=ZONES, default=DEFAULT)
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


DEFAULT = datetime(2026, 1, 1)


@pytest.mark.skipif(not find_samples(), reason="TAILMERGE_SAMPLES names no folder of logs")
@pytest.mark.parametrize("path", find_samples(), ids=lambda path: path.name)
def test_a_sample_of_real_software_has_the_times_that_another_parser_finds(path: Path) -> None:
    """dateutil does not infer the year of a date without one: it may be a year ahead."""
    lines = path.read_bytes().splitlines(keepends=True)
    found = clock().find_times(lines)
    compared = 0
    for line, ns in zip(lines, found, strict=True):
        if ns is None:
            continue
        other = parse_otherwise(line)
        assert other is not None, line
        assert ns // SECOND - other in (0, -365 * 86400), (line, ns, other)
        compared += 1
    assert compared


@pytest.mark.parametrize("share", [0, 0.01, 0.5])
def test_lines_of_one_second_are_read_as_each_alone(share: float) -> None:
    """Many are looked up in one go; what is between them is read one by one."""
    chosen = random.Random(share)
    others = [b"\tat a.b.c(D.java:7)", b"", b"Nov 23 13:42:61 no such second", b"Dec 31 x", b"Nov"]
    lines = []
    for number in range(3_000):
        minute, second = divmod(number // 9, 60)
        lines.append(b"Nov 23 13:%02d:%02d host app[%d]: text" % (minute, second, number))
        if chosen.random() < share:
            lines.append(chosen.choice(others))
    together, alone = clock(), clock()
    times = [time for at in range(0, len(lines), 700) for time in find(together, lines, at)]
    assert times == [alone.find_time(line) for line in lines]
    assert sum(time is not None for time in times) == 3_000


def find(reader: Clock, lines: list[bytes], at: int) -> list[int | None]:
    return reader.find_times(lines[at : at + 700])


@pytest.mark.parametrize(
    "line",
    [
        b"20261123134201 a",
        b"20261123_134201 a",
        b"261123 134201 a",
        b"1795441321 a",
        b"a=1 t=1795441321",
    ],
)
def test_times_without_signs_between_their_numbers_are_looked_for(line: bytes) -> None:
    assert clock().find_time(line) == INSTANT
