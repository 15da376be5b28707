#!/bin/sh
# Writes the gateway's configuration from the environment, which Nginx cannot read itself, and starts Nginx: in Compose as
# the container's entrypoint; without Docker, run it yourself.
#
#   GATEWAY_API_KEYS    accepted keys, separated by commas; each has at least 24 letters, digits, _ or -
#   GATEWAY_ADDRESS, GATEWAY_PORT    where it listens (default: 127.0.0.1 and 8000)
#   GATEWAY_UPSTREAM    the scorer, host:port (default: 127.0.0.1:9696)
#   GATEWAY_TLS    a folder with fullchain.pem and privkey.pem; plain HTTP if not set
#   GATEWAY_RATE    requests per second that each key may send (default: 500)
#   GATEWAY_MOST    requests that the scorer handles at once; any more get status 503 (default: 64)
#   GATEWAY_FOLDER    where the configuration is written (default: /tmp/gateway)
#   MAX_BODY_BYTES    the largest body in bytes (default: 1048576)
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
