#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_run_services.py - what is done with services in earnest, under `millrace run`: a snapshot by a forked child under
load, a program replaced by its successor or told to begin anew, a repository cloned, packages fetched. Over IPv4 and
IPv6.
"""
from lib import *
from runlib import *

FAMILIES = (("IPv4", SHARED, PEER), ("IPv6", SHARED6, PEER6))


def http(address, port, name=""):
    return url(name, address, port)


def answers(pair, address, port):
    with contextlib.suppress(OSError):
        pair.peer.connect((address, port), timeout=1).close()
        return True


# ---- redis --------------------------------------------------------------------------------------


def redis_cli(ns, address, *argv):
    return run("redis-cli", "-h", address, *argv, ns=ns).stdout.strip()


@case("redis-server saves in the background under load, and the file is whole", timeout=90)
def bgsave():
    need("redis-server", "redis-benchmark", "redis-cli")
    with shared_pair() as pair, scratch() as directory, shared_server(
            pair, "redis-server", "--port", "6379", "--protected-mode", "no", "--save", "", "--dir", directory,
            "--bind", "*", "-::*", port=6379):
        for _, address, _ in FAMILIES:
            load = ["redis-benchmark", "-h", address, "-q", "-t", "set", "-r", "100000", "-d", "200"]
            run(*load, "-n", "10000", ns=pair.peer, timeout=30)
            with Process([*load, "-n", "40000"], ns=pair.peer) as busy:
                redis_cli(pair.peer, address, "bgsave")
                saving = True
                while saving:
                    info = redis_cli(pair.peer, address, "info", "persistence")
                    saving = "rdb_bgsave_in_progress:1" in info
                check("rdb_last_bgsave_status:ok" in info, "%s", info)
                equal("the load's status", busy.wait(60), 0)
                check(b"requests per second" in busy.stdout(), "%s", busy.stdout())
        redis_cli(pair.peer, SHARED, "bgsave")
        wait_for("the last save", lambda: "rdb_bgsave_in_progress:0" in redis_cli(
            pair.peer, SHARED, "info", "persistence"), timeout=20)
        size = redis_cli(pair.peer, SHARED, "dbsize")
        check(int(size) > 10000, "%s keys", size)
        with Process(["redis-server", "--port", "6379", "--dir", directory, "--save", ""], ns=pair.peer):
            wait_for("another redis", lambda: run("redis-cli", "ping", ns=pair.peer, ok=False).stdout == "PONG\n",
                     timeout=15)
            equal("keys in the file", redis_cli(pair.peer, "127.0.0.1", "dbsize"), size)


# ---- nginx --------------------------------------------------------------------------------------

NGINX = """
user root;
worker_processes 2;
pid DIR/pid;
error_log DIR/error info;
events { worker_connections 1024; }
http { access_log off; server { listen 8080; listen [::]:8080; root DIR; } }
"""


def read_pid(path):
    with contextlib.suppress(OSError, ValueError), open(path) as f:
        return int(f.read())


def running(pid):
    """A process, and no zombie: its parent may be anybody."""
    with contextlib.suppress(OSError), open("/proc/%d/stat" % pid) as f:
        return f.read().rpartition(") ")[2][0] != "Z"


@case("nginx is replaced by its successor under load (USR2, WINCH, QUIT), and no request fails", timeout=120)
def nginx_upgrade():
    need("nginx", "ab")
    with shared_pair() as pair, scratch() as directory, contextlib.ExitStack() as stack:
        config, pid_file = os.path.join(directory, "conf"), os.path.join(directory, "pid")
        with open(config, "w") as f:
            f.write(NGINX.replace("DIR", directory))
        make_file(os.path.join(directory, "small"), 500)
        run(*shared(shutil.which("nginx"), "-c", config), ns=pair.engine)  # it executes itself by that name
        old = wait_for("nginx", lambda: read_pid(pid_file))

        def end():
            for path in (pid_file, pid_file + ".oldbin"):
                pid = read_pid(path)
                if pid and running(pid):
                    os.kill(pid, signal.SIGTERM)
        stack.callback(end)
        wait_for("nginx's port", lambda: answers(pair, SHARED, 8080))
        for _, address, _ in FAMILIES:
            with Process(["ab", "-q", "-n", "30000", "-c", "8", http(address, 8080, "small")], ns=pair.peer) as load:
                os.kill(old, signal.SIGUSR2)
                new = wait_for("the successor", lambda: read_pid(pid_file) not in (None, old) and
                               os.path.exists(pid_file + ".oldbin") and read_pid(pid_file))
                time.sleep(0.2)
                os.kill(old, signal.SIGWINCH)
                time.sleep(0.2)
                os.kill(old, signal.SIGQUIT)
                wait_for("the end of the old one", lambda: not running(old), timeout=20)
                equal("ab's status", load.wait(60), 0)
                check(b"Failed requests:        0\n" in load.stdout(), "requests failed: %s",
                      load.stdout().decode())
            listed = [e for e in sockets(pair) if e["state"] == "LISTEN" and e["pid"] == new]
            check(len(listed) == 2 and all(e["accelerated"] for e in listed), "the successor listens: %s", listed)
            old = new
        os.kill(old, signal.SIGQUIT)
        wait_for("the end of the last one", lambda: not running(old), timeout=20)
        wait_for("the interface to be the kernel's", lambda: pair.xdp() is None, timeout=10)


# ---- Apache -------------------------------------------------------------------------------------

APACHE = """
ServerRoot /usr/lib/apache2
ServerName test
PidFile DIR/pid
ErrorLog DIR/error
LoadModule mpm_MPM_module modules/mod_mpm_MPM.so
LoadModule authz_core_module modules/mod_authz_core.so
Listen 8080
User www-data
Group www-data
StartServers 3
MaxRequestWorkers 50
MaxConnectionsPerChild 1000
DocumentRoot DIR
<Directory />
Require all granted
</Directory>
"""


def apache_restart(main_process, error_log):
    """A graceful restart, waited for: while one goes on, apache2 forgets a SIGTERM (3 of 30 on the kernel's sockets)."""
    def logged(text):
        with open(error_log) as f:
            return f.read().count(text)

    started = logged("resuming normal operations")
    os.kill(main_process, signal.SIGUSR1)
    wait_for("a graceful restart", lambda: logged("resuming normal operations") > started)


def apache_restarts(mpm):
    """Its workers, that wait in accept() or epoll_wait(), are told by a signal to go when they have answered: the
    handlers of prefork's close what they wait for."""
    need("apache2", "ab")
    with shared_pair() as pair, scratch() as directory:
        config, error, pid_file = (os.path.join(directory, name) for name in ("conf", "error", "pid"))
        with open(config, "w") as f:
            f.write(APACHE.replace("DIR", directory).replace("MPM", mpm))
        os.chmod(directory, 0o755)
        make_file(os.path.join(directory, "small"), 500)
        # Apache ends its process group.
        with shared_server(pair, "setsid", "--wait", "apache2", "-f", config, "-DFOREGROUND", port=8080) as server:
            main_process = wait_for("apache2's number", lambda: read_pid(pid_file))
            for name, address, _ in FAMILIES:
                apache_restart(main_process, error)  # while all wait
                with Process(["ab", "-q", "-n", "4000", "-c", "8", http(address, 8080, "small")], ns=pair.peer) as load:
                    for _ in range(3):
                        time.sleep(0.2)
                        apache_restart(main_process, error)
                    equal("ab's status, " + name, load.wait(40), 0)
                    check(b"Failed requests:        0\n" in load.stdout(), "requests failed: %s",
                          load.stdout().decode())
            os.kill(main_process, signal.SIGTERM)
            equal("apache2's status", server.wait(10), 0)
            check("millrace" not in server.stderr(), "%s", server.stderr())
        with open(error) as f:
            log = f.read()
        check(log.count("raceful restart") >= 8, "it was not restarted: %s", log)
        check("exit signal" not in log, "workers were killed: %s", log)


@case("apache2 (prefork) is restarted gracefully under load, and no request fails", timeout=90)
def apache_prefork():
    apache_restarts("prefork")


@case("apache2 (event) is restarted gracefully under load, and no request fails", timeout=90)
def apache_event():
    apache_restarts("event")


# ---- git ----------------------------------------------------------------------------------------


def make_repository(path, commits):
    """A bare repository of loose objects, about four for each commit, ready for dumb HTTP."""
    run("git", "init", "-q", "--bare", path)
    text = []
    for i in range(commits):
        text.append("commit refs/heads/main\ncommitter t <t@t> %d +0000\ndata 7\ncommit\n\n" % (1700000000 + i))
        for name in ("a/%d" % (i % 40), "b/%d" % (i % 7)):
            data = "%d\n" % i * (i % 50 + 1)
            text.append("M 100644 inline %s\ndata %d\n%s\n" % (name, len(data), data))
    run("git", "-C", path, "-c", "fastimport.unpackLimit=1000000", "fast-import", "--quiet", stdin="".join(text),
        timeout=60)
    run("git", "-C", path, "symbolic-ref", "HEAD", "refs/heads/main")
    run("git", "-C", path, "update-server-info")
    return run("git", "-C", path, "rev-parse", "main").stdout


def check_clone(path, head):
    equal("the clone's head", run("git", "-C", path, "rev-parse", "main").stdout, head)
    run("git", "-C", path, "fsck", "--full", "--strict", timeout=30)


@case("git clones thousands of objects over HTTP, from a server on the stack and as a client on it", timeout=120)
def git_clone():
    need("git", "nginx")
    with shared_pair() as pair, scratch() as directory:
        head = make_repository(os.path.join(directory, "r.git"), 500)
        objects = int(re.match(r"(\d+) objects", run("git", "-C", os.path.join(directory, "r.git"),
                                                     "count-objects").stdout)[1])
        check(objects > 2000, "only %d objects", objects)
        config = os.path.join(directory, "conf")
        with open(config, "w") as f:
            f.write(("daemon off;" + NGINX).replace("DIR", directory))
        with shared_server(pair, "nginx", "-c", config, port=8080):
            for name, address, _ in FAMILIES:
                copy = os.path.join(directory, "of-" + name)
                run("git", "clone", "-q", http(address, 8080, "r.git"), copy, ns=pair.peer, timeout=60)
                check_clone(copy, head)
        wait_for("the keeper to go", lambda: pair.xdp() is None, timeout=10)
        with Process(["nginx", "-c", config], ns=pair.peer):
            wait_for("nginx", lambda: run("curl", "-sf", http(PEER, 8080, "r.git/HEAD"), ns=pair.peer,
                                          ok=False).returncode == 0)
            for name, _, address in FAMILIES:
                copy = os.path.join(directory, "by-" + name)
                client(pair, "git", "clone", "-q", http(address, 8080, "r.git"), copy, timeout=60)
                check_clone(copy, head)


# ---- FTP ----------------------------------------------------------------------------------------


VSFTPD = """
listen=YES
listen_port=7000
background=NO
anonymous_enable=YES
no_anon_password=YES
write_enable=YES
anon_upload_enable=YES
connect_from_port_20=YES
ftp_username=games
seccomp_sandbox=NO
anon_root=DIR/root
secure_chroot_dir=DIR/empty
"""


@case("vsftpd, whose processes have namespaces and limits of their own, sends and takes files, passive and active",
      timeout=90)
def ftp():
    need("vsftpd", "curl")
    with shared_pair() as pair, scratch() as directory:
        for path in ("empty", "root", "root/up"):
            os.makedirs(os.path.join(directory, path))
        os.chmod(directory, 0o755)
        os.chmod(os.path.join(directory, "root/up"), 0o777)
        config, big = os.path.join(directory, "conf"), os.path.join(directory, "root/big")
        with open(config, "w") as f:
            f.write(VSFTPD.replace("DIR", directory))
        digest = make_file(big, 5 * MIB)
        with shared_server(pair, "vsftpd", config, port=7000):
            for name, how in ("passive", []), ("active", ["-P", "-"]):
                curl = ["curl", "-sSf", "-m", "20", *how]
                where, got = "ftp://%s:7000/" % SHARED, os.path.join(directory, "got")
                run(*curl, "-o", got, where + "big", ns=pair.peer, timeout=30)
                equal(name, sha256_file(got), digest)
                run(*curl, "-T", got, where + "up/" + name, ns=pair.peer, timeout=30)
                equal(name, sha256_file(os.path.join(directory, "root/up", name)), digest)


# ---- MQTT ---------------------------------------------------------------------------------------


def mosquitto(pair, directory, shim):
    """A broker at either end."""
    config = os.path.join(directory, "mosquitto")
    with open(config, "w") as f:
        f.write("listener 1883 0.0.0.0\nallow_anonymous true\nuser root\nmax_queued_messages 0\n")
    if shim:
        return shared_server(pair, "mosquitto", "-c", config, port=1883)
    return Process(["mosquitto", "-c", config], ns=pair.peer)


def publish(pair, subscriber, publisher):
    """2000 lines go from a publisher to a subscriber, whom SIGTERM then ends as without us."""
    lines = "".join("line %d\n" % i for i in range(2000))
    subscribe = ["mosquitto_sub", "-h", subscriber[1], "-t", "a/b", "-q", "1"]
    if subscriber[0] is pair.engine:
        subscribe = shared(*subscribe)
    with Process(subscribe, ns=subscriber[0]) as sub:
        def heard():
            run("mosquitto_pub", "-h", publisher[1], "-t", "a/b", "-q", "1", "-m", "first", ns=publisher[0])
            return b"first" in sub.stdout()
        wait_for("the subscription", heard, timeout=15, interval=0.1)
        run("mosquitto_pub", "-h", publisher[1], "-t", "a/b", "-q", "1", "-l", ns=publisher[0], stdin=lines)
        wait_for("all lines", lambda: sub.stdout().count(b"\n") >= 2000 and b"line 1999\n" in sub.stdout())
        got = sub.stdout().decode().replace("first\n", "")
        check(got == lines, "%d lines arrived", got.count("\n"))
        equal("the subscriber's status after SIGTERM", sub.stop(), 0)
        equal("what it said", sub.stderr(), "")


@case("mosquitto and its clients: a subscriber's SIGTERM handler closes the connection that select() sleeps for")
def mqtt():
    need("mosquitto", "mosquitto_sub", "mosquitto_pub")
    with shared_pair() as pair, scratch() as directory:
        with mosquitto(pair, directory, shim=True):
            publish(pair, (pair.peer, SHARED), (pair.peer, SHARED))
        wait_for("the keeper to go", lambda: pair.xdp() is None, timeout=10)
        with mosquitto(pair, directory, shim=False):
            wait_for("mosquitto", lambda: answers(pair, PEER, 1883))
            publish(pair, (pair.engine, PEER), (pair.peer, PEER))


# ---- rsync --------------------------------------------------------------------------------------


@case("rsync's daemon, which has a child for each connection, gives and takes a tree, chrooted")
def rsync():
    need("rsync")
    with shared_pair() as pair, scratch() as directory:
        for name in "from", "to":
            os.makedirs(os.path.join(directory, name))
        for i in range(100):
            make_file(os.path.join(directory, "from", str(i)), i * 997, i)
        make_file(os.path.join(directory, "from/big"), 20 * MIB)
        config = os.path.join(directory, "conf")
        with open(config, "w") as f:
            f.write("use chroot = yes\nuid = root\ngid = root\nread only = no\n"
                    "[from]\npath = DIR/from\n[to]\npath = DIR/to\n".replace("DIR", directory))
        with shared_server(pair, "rsync", "--daemon", "--no-detach", "--port=7000", "--config=" + config, port=7000):
            where, copy = "rsync://%s:7000/" % SHARED, os.path.join(directory, "copy")
            run("rsync", "-a", where + "from/", copy, ns=pair.peer, timeout=30)
            run("rsync", "-az", copy + "/", where + "to/", ns=pair.peer, timeout=30)
            run("diff", "-r", os.path.join(directory, "from"), os.path.join(directory, "to"))


# ---- apt ----------------------------------------------------------------------------------------


def make_archive(directory, packages):
    """A Debian archive with one distribution of four components and tiny packages."""
    lists = []
    for i in range(packages):
        tree = os.path.join(directory, "tree")
        os.makedirs(os.path.join(tree, "DEBIAN"), exist_ok=True)
        with open(os.path.join(tree, "DEBIAN/control"), "w") as f:
            f.write("Package: p%d\nVersion: 1\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n" % i)
        os.makedirs(os.path.join(directory, "pool"), exist_ok=True)
        deb = os.path.join(directory, "pool/p%d_1_all.deb" % i)
        run("dpkg-deb", "--build", "--root-owner-group", tree, deb)
        with open(os.path.join(tree, "DEBIAN/control")) as f:
            lists.append(f.read() + "Filename: pool/p%d_1_all.deb\nSize: %d\nSHA256: %s\n\n" % (
                i, os.path.getsize(deb), sha256_file(deb)))
    release = "Suite: t\nCodename: t\nArchitectures: all amd64\nComponents: a b c d\nSHA256:\n"
    for n, component in enumerate("abcd"):
        for arch in ("all", "amd64"):
            name = "%s/binary-%s/Packages" % (component, arch)
            path = os.path.join(directory, "dists/t", name)
            os.makedirs(os.path.dirname(path))
            with open(path, "w") as f:
                f.write("".join(lists[n::4]) if arch == "all" else "")
            release += " %s %d %s\n" % (sha256_file(path), os.path.getsize(path), name)
    with open(os.path.join(directory, "dists/t/Release"), "w") as f:
        f.write(release)


def apt(pair, root, *argv):
    options = {
        "Dir": root, "Dir::State::status": os.path.join(root, "status"), "APT::Sandbox::User": "root",
        "Dir::Bin::methods": "/usr/lib/apt/methods", "Acquire::Languages": "none", "Acquire::Retries": "0",
        "APT::Architecture": "amd64", "Dir::Etc::parts": "/nonexistent", "Dir::Bin::dpkg": "/usr/bin/dpkg"}
    return client(pair, "apt-get", "-q", *["-o%s=%s" % o for o in options.items()], *argv, cwd=root, timeout=60)


@case("apt-get update and download: a program of many processes, a short connection for each file", timeout=120)
def apt_get():
    need("apt-get", "dpkg-deb")
    n = 20
    with shared_pair() as pair, scratch() as directory:
        archive = os.path.join(directory, "archive")
        make_archive(archive, n)
        with Process(["python3", "-m", "http.server", "8000", "--bind", "::", "--directory", archive], ns=pair.peer):
            wait_for("the archive", lambda: run("curl", "-sf", http(PEER, 8000), ns=pair.peer,
                                                ok=False).returncode == 0)
            for name, _, address in FAMILIES:
                root = os.path.join(directory, name)
                for part in ("etc/apt/sources.list.d", "var/lib/apt/lists/partial", "etc/apt/preferences.d",
                             "etc/apt/trusted.gpg.d", "var/cache/apt/archives/partial"):
                    os.makedirs(os.path.join(root, part))
                open(os.path.join(root, "status"), "w").close()
                with open(os.path.join(root, "etc/apt/sources.list"), "w") as f:
                    f.write("deb [trusted=yes] %s t a b c d\n" % http(address, 8000))
                text = apt(pair, root, "update")
                check("Fetched" in text, "%s", text)
                apt(pair, root, "download", *["p%d" % i for i in range(n)])
                for i in range(n):
                    deb = "p%d_1_all.deb" % i
                    equal(deb, sha256_file(os.path.join(root, deb)),
                          sha256_file(os.path.join(archive, "pool", deb)))


main()
