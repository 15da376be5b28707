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
# AUTH is what the gateway sends as Authorization instead of the client's own:
#   secret    Bearer SERVICE_SECRET: services of ours. They also get X-Caller, the name of the key.
#   basic:VARIABLE    Basic with the user:password in that variable; without credentials if it is empty
#   pass    the client's own, except on a port that needs a key. Without AUTH, nothing is sent.
#
#   GATEWAY_PROFILES    the profiles that were started, separated by commas. If it is set, the list of pages leaves out
#       insurance and grafana unless they are among them.
#   KEYS_FOLDER    the folder of keys (see stack/keys.py); required where keys are needed. Read at each request.
#   SERVICE_SECRET    see AUTH. Whoever sends it as a Bearer token to one of the LOCAL_PORTS needs no key.
#   GATEWAY_ADDRESS, GATEWAY_PORT    where it listens (default: 127.0.0.1 and 8000)
#   LOCAL_BIND    the address on which LOCAL_PORTS are published, BIND_ADDRESS in Compose (default: GATEWAY_ADDRESS). If it is
#       a loopback address, these ports need no key, but they check Host and Origin.
#   ALLOWED_HOSTS    host names, separated by commas, that LOCAL_PORTS also answer to, as SERVE_ADDRESS and CLOUD_ADDRESS
#   CORS_ORIGINS    origins of other sites, separated by commas, whose pages may use the scorer with a key
#   GATEWAY_RESOLVER    the DNS server that names are resolved with at run time (Docker: 127.0.0.11); if empty, at the start
#   GATEWAY_TLS    a folder with fullchain.pem and privkey.pem; plain HTTP if not set. LOCAL_PORTS are always plain HTTP.
#   GATEWAY_RATE    requests per second of a key of tier `normal` (default: 500)
#   GATEWAY_RATE_LOW, GATEWAY_RATE_HIGH    the same of the tiers `low` and `high` (default: 20 and 5000)
#   GATEWAY_MOST    requests that the scorer handles at once; any more get status 503 (default: 64)
#   GATEWAY_CONNECTIONS    connections that one address may have open on GATEWAY_PORT; any more are closed (default: 1000)
#   GATEWAY_USER    the user as whom Nginx works if root starts it (default: nobody)
#   GATEWAY_FOLDER    where configuration, sessions and unfinished bodies are written (default: /tmp/gateway). Bodies need up
#       to 64 MB there; a container needs 1 GB of memory if it is attacked.
#   MAX_BODY_BYTES    the largest body in bytes on GATEWAY_PORT (default: 1048576)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${GATEWAY_FOLDER:-/tmp/gateway}
address=${GATEWAY_ADDRESS:-127.0.0.1}
port=${GATEWAY_PORT:-8000}
most_bytes=${MAX_BODY_BYTES:-1048576}
PATH=$PATH:/usr/sbin  # where Debian installs Nginx
die() { echo "gateway: $1" >&2; exit 2; }

[ -z "${GATEWAY_API_KEYS:-}" ] || die "GATEWAY_API_KEYS is no longer read: make a key with \`make key\`, and set KEYS_FOLDER"
[ -n "${GATEWAY_UPSTREAM:-}${LOCAL_PORTS:-}" ] || die "GATEWAY_UPSTREAM and LOCAL_PORTS are empty: set one of them"
for number in "${GATEWAY_RATE:-500}" "${GATEWAY_RATE_LOW:-20}" "${GATEWAY_RATE_HIGH:-5000}" "${GATEWAY_MOST:-64}" "${GATEWAY_CONNECTIONS:-1000}" "$most_bytes" "$port"; do
  case $number in '' | 0 | *[!0-9]*) die "$number is not a whole number above 0: check GATEWAY_RATE…, GATEWAY_MOST and MAX_BODY_BYTES" ;; esac
done
case ${SERVICE_SECRET:-} in *[!A-Za-z0-9_-]*) die "SERVICE_SECRET may contain only letters, digits, _ and -" ;; esac
case ${ALLOWED_HOSTS:-},${SERVE_ADDRESS:-},${CLOUD_ADDRESS:-} in *[!A-Za-z0-9_.:,-]*) die "ALLOWED_HOSTS must be host names, separated by commas" ;; esac
cors_origins=$(printf %s "${CORS_ORIGINS:-}" | tr -d ' ')
case $cors_origins in *[!a-z0-9.:/,-]*) die "CORS_ORIGINS must be origins such as https://shop.example.com, separated by commas" ;; esac
case ${LOCAL_BIND:-$address} in 127.* | ::1 | localhost) local_mode=open ;; *) local_mode=keyed ;; esac
if [ -n "${GATEWAY_UPSTREAM:-}" ] || [ $local_mode = keyed ]; then
  [ -n "${KEYS_FOLDER:-}" ] || die "KEYS_FOLDER is not set: \`make key NAME=… SCOPES=…\` creates the folder .keys"
  [ -x "$KEYS_FOLDER/" ] || die "$(id -un 2>/dev/null || id -u) cannot open KEYS_FOLDER=$KEYS_FOLDER: create it, and let that user enter it"
fi

umask 077
mkdir -p "$folder/sessions" "$folder/unfinished"
works_as=''
if [ "$(id -u)" = 0 ]; then
  user=${GATEWAY_USER:-nobody}
  works_as="user $user;"
  chmod 711 "$folder"
  chown "$user" "$folder/sessions" "$folder/unfinished"
fi
cp "$here/access.conf" "$here/errors.conf" "$here/forward.conf" "$here/people.conf" "$here/problem.conf" "$folder/"

# --- Values. They are written by the shell itself, so that no secret is an argument of a process. ---
port_mode=$local_mode
[ -z "${GATEWAY_UPSTREAM:-}" ] || port_mode=public
sessions=$port  # one cookie for each gateway of a host, because cookies know no ports
[ -n "${GATEWAY_UPSTREAM:-}" ] || { sessions=${LOCAL_PORTS# }; sessions=${sessions%%:*}; }
pages=''
for page in ${GATEWAY_PAGES:-}; do
  name=${page%%=*}
  case $name in  # a page of a profile that was not started would only answer 503
    insurance | grafana) case ",${GATEWAY_PROFILES-$name}," in *",$name,"*) ;; *) continue ;; esac ;;
  esac
  pages="$pages$name "
done
{
  echo "map '' \$service_secret { default '${SERVICE_SECRET:-}'; }"
  echo "map '' \$bearer { default '${SERVICE_SECRET:+Bearer $SERVICE_SECRET}'; }"
  echo "map '' \$keys_folder { default '${KEYS_FOLDER:-/nowhere}'; }"
  echo "map '' \$sessions_folder { default '$folder/sessions'; }"
  echo "map '' \$unfinished_folder { default '$folder/unfinished'; }"
  echo "map '' \$session_cookie { default 'scorehouse_$sessions'; }"
  echo "map '' \$gateway_files { default '$here'; }"
  echo "map '' \$pages { default '$pages'; }"
  echo "map '' \$most_bytes { default '$most_bytes'; }"
  echo "map '' \$allowed_hosts { default '${ALLOWED_HOSTS:-},${SERVE_ADDRESS:-},${CLOUD_ADDRESS:-}'; }"
  echo "map '' \$cors_origins { default '$cors_origins'; }"
  echo "map \$port \$mode { default $local_mode; $port $port_mode; }"
  [ -z "${GATEWAY_RESOLVER:-}" ] || echo "resolver $GATEWAY_RESOLVER valid=5s ipv6=off;"
} > "$folder/values.conf"

# --- Servers ---
# Since 1.27.3, Nginx looks up a name in an upstream again. An older one does so only without connections that are kept.
version=$(nginx -v 2>&1 | sed 's/.*nginx\/\([0-9]*\)\.\([0-9]*\)\.\([0-9]*\).*/\1 \2 \3/')
follows=$(echo "$version" | { read -r a b c; [ "$((a * 1000000 + b * 1000 + c))" -lt 1027003 ] || echo ' resolve'; })

# upstream NAME HOST:PORT [PARAMETERS]: define $to_NAME, where requests to a service go.
upstream() {
  if [ -n "${GATEWAY_RESOLVER:-}" ] && [ -z "$follows" ]; then
    echo "map '' \$to_$1 { default '$2'; }"
  else
    echo "map '' \$to_$1 { default 'up_$1'; }"
    echo "upstream up_$1 { zone up_$1 64k; server $2${GATEWAY_RESOLVER:+$follows} max_fails=0 ${3:-}; keepalive 32; keepalive_timeout 4s; }"
  fi
}

# forward ID HOST:PORT AUTH MODE: the directives that pass a request on.
forward() {
  echo '    include forward.conf;'
  [ -z "$cors_origins" ] || echo '    js_header_filter gateway.share;'
  case $3 in
    secret) echo '    proxy_set_header Host $http_host; proxy_set_header Authorization $bearer; proxy_set_header X-Caller $caller;'
            echo '    proxy_set_header Connection ""; proxy_set_header Upgrade "";' ;;
    pass)   echo '    proxy_set_header Host $http_host; proxy_set_header X-Caller "";'
            [ "$4" = open ] || echo '    proxy_set_header Authorization "";' ;;
    basic:*)
      eval "credentials=\${${3#basic:}:-}"
      echo "    proxy_set_header Host $2; proxy_set_header X-Caller '';"
      [ -z "$credentials" ] || credentials="Basic $(printf %s "$credentials" | base64 | tr -d '\n')"
      echo "    proxy_set_header Authorization '$credentials';" ;;
    *) echo "    proxy_set_header Host $2; proxy_set_header X-Caller ''; proxy_set_header Authorization '';" ;;
  esac
  echo "    proxy_pass http://\$to_$1;"
}

# entry NAME=URL[,AUTH]: set $name, $host (host:port), $base (a path, or nothing) and $auth; or $files.
entry() {
  name=${1%%=*} url=${1#*=} auth='' files=''
  case $url in *,*) auth=${url#*,} url=${url%%,*} ;; esac
  case $name in '' | *[!a-z0-9_]*) die "$1: write NAME=URL[,AUTH]; a name has letters, digits and _" ;; esac
  case $auth in '' | secret | pass) ;; basic:*[!A-Z0-9_]* | basic:) die "$1: write basic:VARIABLE" ;; basic:*) ;; *) die "$1: $auth is not secret, pass or basic:VARIABLE" ;; esac
  case $url in *[!A-Za-z0-9_.:/-]*) die "$1: the URL has characters that are not allowed" ;; esac
  case $url in
    /*) files=$url host='' base='' ;;
    http://*:*) host=${url#http://} base=${host#*/} host=${host%%/*}
                if [ "$base" = "$host" ] || [ -z "$base" ]; then base=''; else base="/${base%/}"; fi ;;
    *) die "$1: the URL must be http://host:port, or a folder" ;;
  esac
}

# serve_files FOLDER: zipped pages are stored as NAME.html.gz; browsers that do not accept gzip get them unzipped.
serve_files() {
  cat <<CONF
    root $1;
    charset utf-8;
    gzip_static always;
    gunzip on;
    add_header X-Content-Type-Options nosniff always;
    add_header Cache-Control no-cache always;  # the index grows, and a report may be replaced
  }
  location = / {
    include access.conf;
    root $1;
    charset utf-8;
    add_header X-Content-Type-Options nosniff always;
    add_header Cache-Control no-cache always;
    try_files /index.html @none;
  }
  location @none {
    root $here;
    charset utf-8;
    rewrite ^ /none.html break;
  }
CONF
}

local_server() {
  number=${1%%:*}
  case $number in '' | *[!0-9]*) die "$1: write PORT:NAME=URL[,AUTH]" ;; esac
  entry "${1#*:}"
  [ -n "$files" ] || upstream "p$number" "$host"
  cat <<CONF
server {
  listen $address:$number;
  set \$path \$uri;
  set \$prefix '';
  set \$service $name;
  client_max_body_size 0;  # the service decides; tables and models are large
  proxy_request_buffering off;
  proxy_read_timeout 600s;
  include errors.conf;
CONF
  [ $local_mode = open ] || echo '  include people.conf;'
  [ -z "$base" ] || echo "  location / { include access.conf; return 302 $base\$request_uri; }"
  echo "  location ${base:+$base}/ {"
  echo '    include access.conf;'
  if [ -n "$files" ]; then
    serve_files "$files"
  else
    # What was judged is what is sent: the path as Nginx decoded it.
    [ $local_mode = open ] || echo '    rewrite "(?s)^(.*)$" $1 break;'
    echo "    proxy_redirect http://$host/ /;"
    forward "p$number" "$host" "$auth" $local_mode
    echo '  }'
  fi
  echo '}'
}

page() {
  entry "$1"
  [ -z "$files" ] || die "$1: a page must be http://host:port"
  cat <<CONF
  location = /$name { return 301 /$name/; }
  location /$name/ {
    set \$service $name;
    set \$prefix /$name;
    include access.conf;
    rewrite "(?s)^/$name/(.*)\$" $base/\$1 break;
    proxy_read_timeout 60s;
    proxy_redirect http://$host$base/ /$name/;
CONF
  forward "$name" "$host" "$auth" public
  echo '  }'
}

: > "$folder/tls.conf"
if [ -n "${GATEWAY_TLS:-}" ]; then
  for name in fullchain.pem privkey.pem; do  # never plain HTTP if a certificate is configured
    [ -r "$GATEWAY_TLS/$name" ] || die "$(id -un 2>/dev/null || id -u) cannot read $name in GATEWAY_TLS: let that user read it"
  done
  cat > "$folder/tls.conf" <<CONF
ssl_certificate $GATEWAY_TLS/fullchain.pem;
ssl_certificate_key $GATEWAY_TLS/privkey.pem;
ssl_protocols TLSv1.2 TLSv1.3;
ssl_session_cache shared:tls:1m;
add_header Strict-Transport-Security "max-age=31536000" always;
CONF
fi

# How many connections an address has is counted before a head is read: limit_conn of HTTP counts requests that are complete.
rm -f "$folder/public.sock"  # of a process that was killed
: > "$folder/stream.conf"
if [ -n "${GATEWAY_UPSTREAM:-}" ]; then
  cat > "$folder/stream.conf" <<CONF
stream {
  limit_conn_zone \$binary_remote_addr zone=address:1m;
  limit_conn_log_level info;
  server {
    listen $address:$port;
    limit_conn address ${GATEWAY_CONNECTIONS:-1000};
    proxy_pass unix:$folder/public.sock;
    proxy_protocol on;
    proxy_connect_timeout 2s;
    proxy_timeout 90s;  # longer than any wait of HTTP
    proxy_buffer_size 8k;  # each way: strangers who wait fill it
  }
}
CONF
fi

{
  if [ -n "${GATEWAY_UPSTREAM:-}" ]; then
    upstream scorer "$GATEWAY_UPSTREAM" "max_conns=${GATEWAY_MOST:-64}"
    for page in ${GATEWAY_PAGES:-}; do entry "$page"; upstream "$name" "$host"; done
    cat <<CONF
server {
  listen unix:$folder/public.sock proxy_protocol${GATEWAY_TLS:+ ssl};
  include tls.conf;
  set \$path \$uri;
  set \$prefix '';
  include errors.conf;
  include people.conf;
  # Answered here, so that nobody without a key takes a place of the scorer's; slowly, if asked often.
  location = /healthz {
    set \$service gateway;
    if (\$request_method !~ ^(GET|HEAD)\$) { return 405; }
    limit_req zone=health burst=1000;
    limit_req_status 444;
    client_max_body_size 1k;
    js_content gateway.alive;
  }
  location / {
    set \$service scorer;
    include access.conf;
    rewrite "(?s)^(.*)\$" \$1 break;  # what was judged is what is sent: the path as Nginx decoded it
    proxy_read_timeout 30s;
CONF
    forward scorer "$GATEWAY_UPSTREAM" secret public
    echo '  }'
    for page in ${GATEWAY_PAGES:-}; do page "$page"; done
    echo '}'
  fi
  for one in ${LOCAL_PORTS:-}; do local_server "$one"; done
} > "$folder/servers.conf"

# --- Nginx ---
module=modules/ngx_http_js_module.so stream=''  # Nginx's own image has the stream module built in
for modules in /usr/lib/nginx/modules /usr/share/nginx/modules /etc/nginx/modules; do
  [ ! -e "$modules/ngx_http_js_module.so" ] || module=$modules/ngx_http_js_module.so
  [ ! -e "$modules/ngx_stream_module.so" ] || stream="load_module $modules/ngx_stream_module.so;"
done
if [ -z "$stream" ] && ! nginx -V 2>&1 | grep -Eq -- '--with-stream( |$)'; then
  die "Nginx lacks its module \`stream\`: install it (Debian: libnginx-mod-stream)"
fi
# Large bodies wait in files in $folder, which may be memory: at most 64 MB of them, and a quarter of that for each key.
all_large=$((67108864 / most_bytes)) large=$((67108864 / most_bytes / 4))
[ "$all_large" -ge 1 ] || all_large=1
[ "$large" -ge 1 ] || large=1
sed -e "s|@FOLDER@|$folder|g" -e "s|@HERE@|$here|g" -e "s|@MODULE@|$module|" -e "s|@STREAM_MODULE@|$stream|" -e "s|@USER@|$works_as|" -e "s|@MIME_TYPES@|/etc/nginx/mime.types|" \
  -e "s|@RATE@|${GATEWAY_RATE:-500}|g" -e "s|@RATE_LOW@|${GATEWAY_RATE_LOW:-20}|g" -e "s|@RATE_HIGH@|${GATEWAY_RATE_HIGH:-5000}|g" \
  -e "s|@LARGE@|$large|" -e "s|@ALL_LARGE@|$all_large|" -e "s|@MAX_BODY_BYTES@|$most_bytes|g" "$here/nginx.conf" > "$folder/nginx.conf"
unset SERVICE_SECRET
exec nginx -e stderr -c "$folder/nginx.conf" -g 'daemon off;'
