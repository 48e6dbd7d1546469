//! Requests for the rules about the protocol, files, SQL and HTML: what each is for, and what looks like it.

use super::ask::Ask::{
    Arg, Body, Cookie, Field, Fields, Form, Json, Method, Named, Search, Target,
};
use super::ask::Case;

/// In the order of the rules.
pub(super) const CASES: &[Case] = &[
    (
        1_001_010,
        &[Arg("a.php\0.jpg"), Target("/a%00b"), Cookie("a\0b"), Json(r#"{"a":"x\u0000y"}"#)],
        &[Arg("a%00b is how one writes it"), Arg("\\0 ends a string"), Json(r#"{"a":"\\u0000"}"#)],
    ),
    (
        1_001_020,
        &[Target("/a%01b"), Named("a\x08b", "1"), Target("/x%7f")],
        &[Form("a tab\there"), Form("a form feed \x0c in a text"), Target("/%C3%A9t%C3%A9")],
    ),
    (
        1_001_030,
        &[
            Arg("en\r\nSet-Cookie: a=b"),
            Target("/r%0d%0aLocation:%20http://evil.example"),
            Arg("x\nContent-Length: 0"),
        ],
        &[
            Form("Our server sends\r\nSet-Cookie: a=b\r\nand then nothing"),
            Arg("Location: Berlin"),
            Arg("two\r\nlines"),
        ],
    ),
    (
        1_001_040,
        &[Arg("x\r\nGET /admin HTTP/1.1\r\nHost: a"), Arg("a\nPOST http://b/ HTTP/1.0")],
        &[
            Form("It logs\nGET /admin HTTP/1.1\nand stops"),
            Arg("get well soon"),
            Search("GET HTTP/1.1"),
        ],
    ),
    (
        1_001_050,
        &[Field("Content_Length", "0"), Field("Transfer_Encoding", "chunked")],
        &[
            Field("X_Request_Id", "1"),
            Field("Content-Length", "0"),
            Field("Content-Language", "en"),
        ],
    ),
    (
        1_001_070,
        &[Field("Proxy", "http://evil.example:80"), Field("PROXY", "")],
        &[Field("Proxy-Connection", "keep-alive"), Field("Proxy-Authorization", "Basic YTpi")],
    ),
    (
        1_001_080,
        &[Method("TRACE"), Method("TRACK"), Method("DEBUG")],
        &[Method("PUT"), Method("OPTIONS"), Method("PROPFIND")],
    ),
    (1_001_090, &[Method("PUT"), Method("DELETE")], &[Method("GET"), Method("HEAD")]),
    (
        1_001_110,
        &[
            Fields(&[("Content-Type", "text/plain"), ("Content-Type", "application/json")]),
            Fields(&[("Content-Type", "text/plain"), ("content-type", "text/plain")]),
        ],
        &[
            Field("Content-Type", "multipart/form-data; boundary=x"),
            Fields(&[("Content-Type", "text/plain"), ("Content-Language", "de")]),
        ],
    ),
    (
        1_001_120,
        &[
            Body("application/x-www-form-urlencoded; charset=utf-7", "a=b"),
            Body("text/plain;charset=\"UTF-16\"", "a"),
            Body("application/x-www-form-urlencoded; charset=ibm037", "a=b"),
        ],
        &[
            Body("application/x-www-form-urlencoded; charset=UTF-8", "a=b"),
            Body("text/plain; charset=iso-8859-1", "a"),
            Body("text/plain; charset=windows-1252", "a"),
        ],
    ),
    (
        1_001_130,
        &[
            Target("/a/%c0%ae%c0%ae/b"),
            Target("/x?f=..%c0%afetc"),
            Target("/x?q=%u003cscript"),
            Target("/?a=%u0027"),
        ],
        &[Target("/caf%C3%A9"), Target("/?q=%u4f60%u597d"), Target("/?q=%C0%C8%C9")],
    ),
    (
        1_001_140,
        &[
            Body(
                "multipart/form-data; boundary=x",
                "--x\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n\
                 b\r\n--x--\r\n",
            ),
            Body(
                "multipart/form-data; boundary=x",
                "--x\r\ncontent-type:text/plain;charset=\"IBM037\"\r\nContent-Disposition: form-data; name=a\r\n\r\n\
                 b\r\n--x--\r\n",
            ),
        ],
        &[
            Body(
                "multipart/form-data; boundary=x",
                "--x\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n\
                 b\r\n--x--\r\n",
            ),
            Body(
                "multipart/form-data; boundary=x",
                "--x\r\nContent-Disposition: form-data; name=\"charset=utf-16\"\r\n\r\nb\r\n--x--\r\n",
            ),
        ],
    ),
    (
        1_002_010,
        &[
            Arg("../../../etc/hosts"),
            Arg("img/../../../../x.ini"),
            Arg("..%2f..%2f..%2fx"),
            Arg("....//....//....//x"),
            Arg("..\\..\\..\\boot"),
            Cookie("../../../../tmp/x"),
        ],
        &[
            Arg("../index.html"),
            Arg("../../page"),
            Form("import a from '../../../a'; // is it right?"),
            Form("we drove on ... / ... / and on"),
            Search("... ... ..."),
        ],
    ),
    (
        1_002_020,
        &[
            Target("/a/%2e%2e/b"),
            Target("/static/..%2f..%2fetc"),
            Target("/app/..;/manager"),
            Target("/%252e%252e/x"),
            Target("/cgi-bin/.%2e/x"),
        ],
        &[
            Target("/file.%2e"),
            Target("/a..b/c"),
            Target("/v1.2..1.3/diff"),
            Target("/page?next=%2e%2e%2fhome"),
        ],
    ),
    (
        1_002_030,
        &[
            Arg("/etc/passwd"),
            Arg("file/../etc/shadow"),
            Arg("/proc/self/environ"),
            Arg("c:\\windows\\win.ini"),
            Arg("/etc/passwd\0.png"),
            Arg("/root/.ssh/id_rsa"),
            Target("/static//etc/passwd"),
        ],
        &[
            Search("/etc/passwd"),
            Form("Please look into /etc/passwd, and tell me what stands there."),
            Arg("passwd"),
            Arg("/etc/nothing-of-interest"),
            Arg("Windows 10"),
            Arg("/docs/proc/"),
        ],
    ),
    (
        1_002_040,
        &[
            Target("/.git/config"),
            Target("/app/.env"),
            Target("/.env.production"),
            Target("/.htpasswd"),
            Target("/.aws/credentials"),
            Target("/.svn/entries"),
            Target("/WEB-INF/web.xml"),
        ],
        &[
            Target("/.well-known/acme-challenge/abc"),
            Target("/user/repo.git/info/refs"),
            Target("/docs/.env.example"),
            Target("/.github/workflows"),
            Target("/environment"),
            Target("/blog/what-is-gitignore"),
        ],
    ),
    (
        1_002_050,
        &[
            Target("/index.php.bak"),
            Target("/wp-config.php~"),
            Target("/backup.sql"),
            Target("/dump.sql.gz"),
            Target("/.index.php.swp"),
            Target("/config.yml.old"),
        ],
        &[
            Target("/download/northwind.sql"),
            Target("/backup/instructions"),
            Target("/old/index.php"),
            Target("/index.php"),
            Target("/~alice/"),
            Target("/data.json"),
        ],
    ),
    (
        1_002_060,
        &[
            Target("/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php"),
            Target("/_ignition/execute-solution"),
            Target("/HNAP1/"),
            Target("/boaform/admin/formLogin"),
        ],
        &[
            Target("/vendor/phpunit/README.md"),
            Target("/solr/select"),
            Target("/shell-scripts"),
            Target("/setup.html"),
            Target("/manager/html5"),
        ],
    ),
    (
        1_003_010,
        &[
            Arg("1' OR '1'='1"),
            Arg("1 UNION SELECT username, password FROM users--"),
            Arg("admin'--"),
            Form("x' AND 1=1#"),
            Cookie("1' or 1=1-- -"),
            Json(r#"{"id":"1' OR 1=1 --"}"#),
            Arg("foo bar' UNION SELECT 1,2,3 -- "),
        ],
        &[
            Search("O'Reilly"),
            Search("rock 'n' roll"),
            Form("It's what we'd like; isn't it? -- Bob"),
            Form("SELECT boxes are hard to style, and UNION Square is nice"),
            Arg("1-2"),
            Search("select * where you live"),
            Search("drop table"),
            Form("5' or 6' tall"),
            Form("It handles both 'deflate' and 'gzip', as it's said."),
            Form("import { readFile } from 'node:fs/promises';"),
            Form("error: '--target <T>' is wrong; \"--no-\" is right, or '--' alone"),
            Form("\"C4267\" # from 'size_t' to 'int'"),
            Form("Set a benchmark (2024)"),
            Arg("Smith & Sons (since 1999)"),
            Arg("d'or"),
            Search("size 10 or 11"),
            Search("\"big\" or \"small\""),
        ],
    ),
    (
        1_003_020,
        &[
            Arg("-1 union select 1,2,3"),
            Arg("1'/**/UNION/**/ALL/**/SELECT/**/NULL,NULL"),
            Arg("x\") union select concat(a,b) from c"),
            Cookie("1 union select @@version"),
        ],
        &[
            Form("The union select committee met in room 1."),
            Search("union select"),
            Form("European Union selects 2 new members"),
            Arg("student union"),
        ],
    ),
    (
        1_003_030,
        &[
            Arg("1; DROP TABLE users"),
            Arg("x'; INSERT INTO users VALUES (1)"),
            Arg("1;select pg_sleep(5)"),
            Arg("1');exec xp_cmdshell"),
        ],
        &[
            Form("Two things; delete from your list what you do not need."),
            Form("Chapter 1; create table decorations"),
            Arg("a=1;b=2"),
            Form("Meeting at 5; update Bob"),
        ],
    ),
    (
        1_003_040,
        &[
            Arg("1 AND SLEEP(5)"),
            Arg("1' AND (SELECT 1 FROM (SELECT(SLEEP(5)))a)-- "),
            Arg("1'; WAITFOR DELAY '0:0:5'--"),
            Arg("(select(0)from(select(sleep(15)))v)"),
            Arg("1||pg_sleep(10)"),
            Field("User-Agent", "x'XOR(if(now()=sysdate(),sleep(5),0))OR'z"),
        ],
        &[
            Form("In C one calls fork() and sleep(5) afterwards."),
            Form("time.sleep(3)\nprint(x)"),
            Search("sleep (10 hours)"),
            Form("Set a benchmark (2024)"),
        ],
    ),
    (
        1_003_060,
        &[
            Arg("1 into outfile '/var/www/x.php'"),
            Arg("1,load_file('/etc/x')"),
            Arg("1; exec master..xp_cmdshell 'dir'"),
            Arg("x'; COPY t FROM PROGRAM 'id'"),
        ],
        &[
            Form("Put it into outfile.txt"),
            Search("xp_cmdshell"),
            Form("How do I load_file in Python?"),
            Form("Please copy the list from program notes"),
        ],
    ),
    (
        1_003_080,
        &[Named("user[$where]", "1"), Json(r#"{"a":{"$where":"sleep(1)"}}"#)],
        &[
            Named("$whereabouts", "1"),
            Named("where", "x"),
            Named("age[$gt]", "18"),
            Json(r#"{"$schema":"x"}"#),
        ],
    ),
    (
        1_004_010,
        &[
            Arg("<img src=x onerror=alert(1)>"),
            Arg("\"><svg/onload=alert(1)>"),
            Arg("<a href=\"javascript:alert(1)\">"),
            Form("<script>alert(1)</script>"),
        ],
        &[
            Form("<p style=\"color:red\">Hello <b>you</b></p>"),
            Form("<iframe src=\"https://video.example/embed/1\" width=\"560\"></iframe>"),
            Form("if (a < b && c > d) { x = y; }"),
            Form("I <3 you"),
            Form("Map<String, List<Integer>> m = new HashMap<>();"),
            Form("<!DOCTYPE html> is the first line"),
        ],
    ),
    (
        1_004_020,
        &[
            Arg("<script src=//evil.example></script>"),
            Arg("</script><b>"),
            Target("/page/%3Cscript%3Ealert(1)%3C/script%3E"),
            Field("Referer", "https://a.example/?q=%3Cscript%3E"),
            Json(r#"{"name":"<ScRiPt>x"}"#),
        ],
        &[
            Form("&lt;script&gt;alert(1)&lt;/script&gt; is how one writes it"),
            Form("A prescription, a <strong>script</strong>"),
            Arg("script"),
            Search("script src"),
            Form("<scripture>"),
        ],
    ),
    (
        1_004_030,
        &[
            Arg("<body onload=alert(1)>"),
            Arg("<svg><animate onbegin=alert(1)>"),
            Arg("<div/onmouseover='alert(1)'>"),
            Json(r#"{"bio":"<img src=1 onerror=\"x()\">"}"#),
        ],
        &[
            Form("<div class=\"button on\" data-once=\"1\">"),
            Form("x < y, on load = 5"),
            Form("<a href=\"/on?click=1\">"),
            Form("onclick= is an attribute"),
        ],
    ),
    (
        1_004_040,
        &[
            Arg("javascript:alert(1)"),
            Arg("java\tscript:alert(1)"),
            Arg("<a href='javascript:fetch(1)'>"),
            Arg("<a href=\"&#106;avascript:alert(1)\">"),
            Arg("vbscript:msgbox(1)"),
        ],
        &[
            Form("JavaScript: the good parts"),
            Form("JavaScript: map() or forEach()?"),
            Form("<a href=\"javascript:void(0)\">more</a>"),
            Form("<a href=\"javascript:;\">more</a>"),
            Arg("javascript"),
            Form("Languages: javascript, perl (5)"),
        ],
    ),
    (
        1_004_050,
        &[
            Arg("data:text/html;base64,PHNjcmlwdD4="),
            Arg("<iframe src=\"data:text/html,<b>x</b>\">"),
        ],
        &[
            Arg("data:image/png;base64,iVBORw0KGgo="),
            Form("The data: text/html is the type"),
            Arg("data:text/plain,hello"),
        ],
    ),
    (
        1_004_060,
        &[
            Arg("<iframe srcdoc='x'>"),
            Arg("<base href=//evil.example>"),
            Arg("<meta http-equiv=\"refresh\" content=\"0;url=//evil.example\">"),
        ],
        &[
            Form("<iframe src=\"https://maps.example/1\"></iframe>"),
            Form("<meta charset=\"utf-8\">"),
            Form("all your base href= belongs to us"),
        ],
    ),
];
