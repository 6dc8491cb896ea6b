#!/usr/bin/env bash
# Three hosts, a PostgreSQL server and its replica, in network namespaces of this one
# machine: one host is cut off, one is killed, and the server dies and its replica takes
# over. Then it is checked that no order was lost or done twice, that the report never
# had two writers, and that each rate was asked for once; the exit status says so.
#
# Needs Linux, root, ip (iproute2), Go, and PostgreSQL 15 or later. All that it makes is
# in namespaces and in a directory of its own, and is gone afterwards.
set -euo pipefail
cd "$(dirname "$0")"

fail() {
	echo "FAILED: $*"
	exit 1
}
((UID == 0)) || fail "run it as root: it makes network namespaces"
pg=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1 | xargs -r dirname)
[[ $pg ]] || fail "there is no PostgreSQL below /usr/lib/postgresql (Debian: apt-get install postgresql)"

dir=$(mktemp -d /tmp/cluster-demo.XXXXXX)
chmod 755 "$dir"
net=demo$$ # what the names of the namespaces begin with
log=$dir/log
cleanup() {
	local ns
	for ns in $(ip netns list | awk -v n="$net-" 'index($1, n) == 1 { print $1 }'); do
		ip netns pids "$ns" | xargs -r kill -9 2>/dev/null || true
		ip netns delete "$ns"
	done
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

go build -o "$dir/cluster" .
began=$(date +%s%N)
say() { printf '%5.1f s  %s\n' "$((($(date +%s%N) - began) / 100000000))e-1" "$*"; }

# within SECONDS COMMAND waits until a command succeeds.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >"$dir/out" 2>&1; do
		((SECONDS < end)) || { cat "$dir/out"; tail -n 20 "$log" "$dir"/db?/log; fail "waited too long for: $*"; }
		sleep 0.1
	done
}

# The network: a bridge in a namespace, and a cable from there to each machine.
ip netns add "$net-hub"
ip -n "$net-hub" link add hub type bridge
ip -n "$net-hub" link set hub up
number=0
machine() {
	number=$((number + 1))
	ip netns add "$net-$1"
	ip -n "$net-hub" link add "to-$1" type veth peer name eth0 netns "$net-$1"
	ip -n "$net-hub" link set "to-$1" master hub up
	ip -n "$net-$1" address add "10.77.0.$number/24" dev eth0
	ip -n "$net-$1" link set eth0 up
	ip -n "$net-$1" link set lo up
}
on() { ip netns exec "$net-$1" "${@:2}"; }
for m in db1 db2 h1 h2 h3; do machine $m; done

# The database on 10.77.0.1, and its replica on 10.77.0.2. A commit waits for both: what
# is acknowledged is not lost with the first.
server() { on "$1" setpriv --reuid=postgres --regid=postgres --init-groups env -C "$dir" "${@:2}"; }
start() {
	server "$1" "$pg/pg_ctl" -D "$dir/$1/data" -l "$dir/$1/log" -w -s start -o "-h '*' -k $dir/$1 -c fsync=off ${2-}" </dev/null >/dev/null
}
for m in db1 db2; do
	mkdir "$dir/$m"
	chown postgres "$dir/$m"
done
server db1 "$pg/initdb" -D "$dir/db1/data" -U app -A trust --no-sync >/dev/null
echo 'host all,replication all 10.77.0.0/24 trust' >>"$dir/db1/data/pg_hba.conf"
start db1 "-c synchronous_standby_names=*"
server db2 "$pg/pg_basebackup" -d "host=10.77.0.1 user=app" -D "$dir/db2/data" -c fast -R --no-sync
start db2
say "a database and its replica run"

export CLUSTER_STORE='postgres://app@10.77.0.1,10.77.0.2/postgres?sslmode=disable&connect_timeout=2'
declare -A pid
: >"$log"
for h in h1 h2 h3; do
	ip netns exec "$net-$h" "$dir/cluster" -host $h -night 10s -v work >>"$log" 2>&1 &
	pid[$h]=$!
	disown # bash has nothing to say of its end
done
orders=0
add() {
	on h1 "$dir/cluster" add "$1" >/dev/null
	orders=$((orders + $1))
}
add 500
say "h1, h2 and h3 begin with $orders orders"

# who prints which host was the last to do something.
who() { awk -v what="$1" 'index($0, what) { w = $1 } END { print w }' "$log"; }
# since LINE WHAT succeeds if something happened after a line of the log.
since() { tail -n "+$(($1 + 1))" "$log" | grep -Eq "$2"; }
here() { wc -l <"$log"; }

echo
within 30 grep -q 'has done order 40$' "$log"
say "all rates are known"
line=$(here)
within 30 since "$line" 'begins the report'
a=$(who 'begins the report')
line=$(here)
ip -n "$net-hub" link set "to-$a" nomaster
say "$a begins the report, and is cut off from the network"
within 20 since "$line" "^$a gives up the report"
say "$a gives up the report: it has lost the lock"
within 30 since "$line" 'begins the report'
b=$(who 'begins the report')
say "$b begins the report"
within 30 since "$line" "^$b has written the report"
say "$b has written the report"
ip -n "$net-hub" link set "to-$a" master hub
within 20 on "$a" "$dir/cluster" status
add 250
within 40 since "$line" "^$a has done order"
say "$a is back; it has lost $(grep -c "^$a has lost order" "$log" || true) orders to others, and does new ones"

echo
for c in h1 h2 h3; do [[ $c == "$a" || $c == "$b" ]] || break; done
mapfile -t begun < <(awk -v h="$c" '$1 == h && $2 == "begins" && $3 == "order" { b[$4 + 0] } / has (done|lost) order / { delete b[$5] } END { for (i in b) print i }' "$log")
line=$(here)
kill -9 "${pid[$c]}"
say "$c is killed: ${#begun[@]} orders that it has begun are not done"
unset "pid[$c]"
for i in "${begun[@]}"; do
	within 20 grep -q "has done order $i\$" "$log"
done
say "others have done them"

echo
line=$(here)
ip netns pids "$net-db1" | xargs kill -9
say "the database dies"
sleep 2
server db2 "$pg/pg_ctl" -D "$dir/db2/data" -w -s promote
say "its replica is promoted"
within 60 since "$line" '(h1|h2|h3) has done order'
say "the first order is done on it"

ended() {
	local p
	for p in "${pid[@]}"; do
		! kill -0 "$p" 2>/dev/null || return 1
	done
}
status() { on h1 "$dir/cluster" status; }
empty() { grep -q '^orders: 0 wait, 0 are begun' < <(status); }
within 120 empty
say "no order is left"
line=$(here)
within 40 since "$line" 'has written the report'
kill -TERM "${pid[@]}"
within 10 ended
say "all hosts have ended"
echo
grep -E '^h[0-9]: ' "$log"
status
echo

# The log has the lines of all hosts in the order in which they came.
awk -v orders="$orders" '
	function bad(what) { print "line " NR ": " what ": " $0; wrong = 1 }
	/ begins order /                  { if (done[$4 + 0]) bad("begun after it was done") }
	/ has done order /                { if (done[$5]++) bad("done a second time"); n++ }
	/ is done twice/                  { bad("done a second time") }
	/ asks for the rate of /          { if (asked[$7]++) bad("asked for a second time"); rates++ }
	/ begins the report of /          { if ($NF <= token) bad("a token that is not greater than the last one, " token)
	                                    if (writer != "" && !killed[writer]) bad("begun while " writer " is at it")
	                                    token = $NF; writer = $1 }
	/ gives up the report of /        { if ($NF == token) writer = "" }
	/ has written the report of /     { if ($NF != token) bad("written with a token that is not the last one, " token)
	                                    if (written[$7 $8]++) bad("written a second time")
	                                    writer = ""; reports++ }
	BEGIN                             { killed["'"$c"'"] = 1 }
	END {
		if (wrong) exit 1
		printf "%d orders, each done once; %d were seen to be done, and none was begun afterwards\n", orders, n
		printf "%d reports, each written once, by one at a time, with growing tokens\n", reports
		printf "%d rates, each asked for once\n", rates
	}' "$log" || fail "see above"
grep -q "^orders: 0 wait, 0 are begun, $orders done\$" < <(status) || fail "not all of $orders orders are done"
say "all is as promised"
