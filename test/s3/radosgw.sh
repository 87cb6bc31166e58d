#!/bin/sh
# Starts a real S3 server on loopback: one Ceph monitor, one OSD that keeps its objects in memory,
# and the RADOS gateway. Usage: radosgw.sh FOLDER PORT ACCESS_KEY SECRET_KEY
# It prints `ready` and stays until its standard input ends; then it stops all three.
# Needs Debian's packages: ceph-mon, ceph-osd, ceph-common, radosgw.
set -eu
dir=$1 port=$2 access=$3 secret=$4
mon=$((port + 1))
mkdir -p "$dir/mon" "$dir/osd" "$dir/rgw" "$dir/run"
conf=$dir/ceph.conf
export CEPH_CONF="$conf"
fsid=$(cat /proc/sys/kernel/random/uuid)

cat >"$conf" <<EOF
[global]
fsid = $fsid
mon host = v2:127.0.0.1:$mon/0
public network = 127.0.0.0/8
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon warn on pool no redundancy = false
run dir = $dir/run
admin socket = $dir/run/\$name.asok
pid file = $dir/run/\$name.pid
log file = $dir/\$name.log
keyring = $dir/keyring
mon data = $dir/mon
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 2147483648
ms bind ipv6 = false
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
ms mon client mode = crc
rgw frontends = beast endpoint=127.0.0.1:$port
rgw data = $dir/rgw
rgw gc obj min wait = 5
[mon.a]
host = localhost
EOF

stop() {
  trap - EXIT INT TERM
  for pid in ${rgw_pid:-} ${osd_pid:-} ${mon_pid:-}; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
}
trap stop EXIT INT TERM

ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
ceph-authtool "$dir/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' >/dev/null
cp "$dir/keyring" "$dir/rgw/keyring"
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon]" "$dir/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring"
ceph-mon -f -i a </dev/null >"$dir/mon.out" 2>&1 &
mon_pid=$!

uuid=$(cat /proc/sys/kernel/random/uuid)
osd=$(timeout 60 ceph osd new "$uuid")
ceph-osd -i "$osd" --mkfs --osd-uuid "$uuid" >"$dir/osd.out" 2>&1
ceph-osd -f -i "$osd" </dev/null >>"$dir/osd.out" 2>&1 &
osd_pid=$!

radosgw -f -n client.admin </dev/null >"$dir/rgw.out" 2>&1 &
rgw_pid=$!
timeout 120 radosgw-admin user create --uid=test --display-name=test \
  --access-key="$access" --secret-key="$secret" >/dev/null
tries=0
until curl -s -o "$dir/answer" "http://127.0.0.1:$port/"; do
  tries=$((tries + 1))
  [ "$tries" -lt 600 ] || { echo "the gateway does not answer: see $dir" >&2; exit 1; }
  kill -0 "$rgw_pid"
  sleep 0.2
done
echo ready
cat >/dev/null
