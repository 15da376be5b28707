#!/bin/sh
# Writes the gateway's configuration from the environment, which Nginx cannot read itself, and starts Nginx: in Compose as
# the entrypoint of the containers `gateway` and `reports`; without Docker, run it yourself. Three lists say what it serves:
#
#   GATEWAY_UPSTREAM    the scorer, host:port. With it, port GATEWAY_PORT serves other machines, by key or by session.
#   GATEWAY_PAGES    pages below that port's paths: NAME=URL[,AUTH] …, separated by spaces. NAME is the path's first part:
#       monitor=http://monitor:8085,secret reports=http://reports:8888,secret insurance=http://web_service:8080,secret
#       grafana=http://grafana:3000/grafana/,pass mlflow=http://mlflow:5000,basic:MLFLOW_AUTH
#   LOCAL_PORTS    ports of this machine, each for one service: PORT:NAME=URL[,AUTH] …; NAME is the service's (scorer, …):
#       9696:scorer=http://scorer:9696,secret 3000:grafana=http://grafana:3000/grafana/,pass
#       4200:prefect=http://prefect:4200,basic:PREFECT_API_AUTH_STRING 8888:reports=/srv/reports
#
# URL is http://host:port; with a path, everything lies below that path. Or it is a folder of files, /srv/reports.
# AUTH is what the gateway sends as Authorization in place of the client's own:
#   secret    Bearer SERVICE_SECRET: services of ours. They also get X-Caller, the name of the key.
#   basic:VARIABLE    Basic with the user:password in that variable; without credentials if it is empty
#   pass    the client's own, except on a port that needs a key. Without AUTH, nothing is sent.
#
#   KEYS_FOLDER    the folder of keys (see stack/keys.py); required where keys are needed. Read at each request.
#   SERVICE_SECRET    see AUTH. Whoever sends it as a Bearer token to one of the LOCAL_PORTS needs no key.
#   GATEWAY_ADDRESS, GATEWAY_PORT    where it listens (default: 127.0.0.1 and 8000)
#   LOCAL_BIND    the address on which LOCAL_PORTS are published, BIND_ADDRESS in Compose (default: GATEWAY_ADDRESS). If it is
#       a loopback address, these ports need no key, but they check Host and Origin.
#   ALLOWED_HOSTS    host names, separated by commas, that LOCAL_PORTS also answer to, as SERVE_ADDRESS and CLOUD_ADDRESS
#   GATEWAY_RESOLVER    the DNS server that names are resolved with at run time (Docker: 127.0.0.11); if empty, at the start
#   GATEWAY_TLS    a folder with fullchain.pem and privkey.pem; plain HTTP if not set. LOCAL_PORTS are always plain HTTP.
#   GATEWAY_RATE    requests per second of a key of tier `normal` (default: 500)
#   GATEWAY_RATE_LOW, GATEWAY_RATE_HIGH    the same of the tiers `low` and `high` (default: 20 and 5000)
#   GATEWAY_MOST    requests that the scorer handles at once; any more get status 503 (default: 64)
#   GATEWAY_FOLDER    where configuration, sessions and unfinished bodies are written (default: /tmp/gateway). Bodies need up
#       to 64 MB there; a container needs 256 MB of memory in all.
#   MAX_BODY_BYTES    the largest body in bytes on GATEWAY_PORT (default: 1048576)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${GATEWAY_FOLDER:-/tmp/gateway}
tls=${GATEWAY_TLS:-}
die() { echo "gateway: $1" >&2; exit 2; }

: "${GATEWAY_API_KEYS:=}"
[ -n "$GATEWAY_API_KEYS" ] || die "GATEWAY_API_KEYS is empty: set a key of at least 24 characters"
mkdir -p "$folder"
umask 077
{
  echo 'map $http_x_api_key:$http_authorization $client {'
  echo '  default "";'
  echo "$GATEWAY_API_KEYS" | tr ',' '\n' | while read -r key; do
    case $key in *[!A-Za-z0-9_-]*) die "a key in GATEWAY_API_KEYS may contain only letters, digits, _ and -" ;; esac
    [ ${#key} -ge 24 ] || die "a key in GATEWAY_API_KEYS is shorter than 24 characters: use a longer one"
    basic=$(printf 'scorehouse:%s' "$key" | base64 | tr -d '\n')
    # as patterns, because plain strings would ignore the case of letters
    for sent in "$key\\E:" ":Bearer $key\\E\$" ":Basic $basic\\E\$"; do printf '  "~^\\Q%s" "%s";\n' "$sent" "$key"; done
  done
  echo '}'
} > "$folder/keys.conf"

: > "$folder/tls.conf"
if [ -n "$tls" ]; then
  for name in fullchain.pem privkey.pem; do  # never plain HTTP if a certificate is configured
    [ -r "$tls/$name" ] || die "$(id -un 2>/dev/null || id -u) cannot read $name in GATEWAY_TLS: let that user read it"
  done
  cat > "$folder/tls.conf" <<CONF
ssl_certificate $tls/fullchain.pem;
ssl_certificate_key $tls/privkey.pem;
ssl_protocols TLSv1.2 TLSv1.3;
ssl_session_cache shared:tls:1m;
add_header Strict-Transport-Security "max-age=31536000" always;
CONF
  with_tls=" ssl"
fi

sed -e "s|@FOLDER@|$folder|g" -e "s|@ADDRESS@|${GATEWAY_ADDRESS:-127.0.0.1}|" -e "s|@PORT@|${GATEWAY_PORT:-8000}|" \
  -e "s|@TLS@|${with_tls:-}|" -e "s|@UPSTREAM@|${GATEWAY_UPSTREAM:-127.0.0.1:9696}|" -e "s|@RATE@|${GATEWAY_RATE:-500}|g" \
  -e "s|@MOST@|${GATEWAY_MOST:-64}|" -e "s|@MAX_BODY_BYTES@|${MAX_BODY_BYTES:-1048576}|g" "$here/nginx.conf" > "$folder/nginx.conf"

PATH=$PATH:/usr/sbin  # where Debian installs it
exec nginx -e stderr -c "$folder/nginx.conf" -g 'daemon off;'
