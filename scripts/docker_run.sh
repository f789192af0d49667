#!/usr/bin/env bash
# Builds the image and starts compose.yaml: the gateway, Redis, Postgres, Mosquitto, Prometheus and Grafana.
#   scripts/docker_run.sh                       starts it all and says how to try it
#   scripts/docker_run.sh token [SUB [ROLE…]]   prints a token that is good for an hour
#   scripts/docker_run.sh down [-v]             ends it all; -v: takes the data along
#   scripts/docker_run.sh ps|logs|…             any other command of docker compose
#   scripts/docker_run.sh --help
# Passwords and a key pair are made at the first start, in .compose/ (or SECRETS_DIR), which git ignores;
# delete it after `down -v` for new ones. GATEWAY_PORT, GRAFANA_PORT and PROMETHEUS_PORT choose other ports
# than 8080, 3000 and 9090. Needs Docker with Compose 2 and openssl.
set -euo pipefail
cd "$(dirname "$0")/.."

secrets=${SECRETS_DIR:-.compose}
gateway="127.0.0.1:${GATEWAY_PORT:-8080}"

fail() { echo "$*" >&2; exit 1; }

make_secrets() {
  [ -f "$secrets/env" ] && return
  command -v openssl >/dev/null || fail 'openssl is needed'
  local name
  mkdir -p "$secrets"
  # Private to this user; the public key is all that the gateway's user has to read.
  (
    umask 077
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$secrets/jwt-private.pem"
    for name in POSTGRES_PASSWORD REDIS_PASSWORD GRAFANA_PASSWORD ADMIN_TOKEN CACHE_SECRET; do
      echo "$name=$(openssl rand -hex 24)"
    done >"$secrets/env.draft"
    echo "JWT_PUBLIC_KEY=$(cd "$secrets" && pwd)/jwt-public.pem" >>"$secrets/env.draft"
  )
  openssl pkey -in "$secrets/jwt-private.pem" -pubout -out "$secrets/jwt-public.pem"
  chmod 644 "$secrets/jwt-public.pem"
  mv "$secrets/env.draft" "$secrets/env"
}

compose() { docker compose --env-file "$secrets/env" "$@"; }

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# token SUB ROLE…: signed as compose.yaml's gateway wants it
token() {
  local now roles unsigned
  now=$(date +%s)
  for name in "$@"; do
    [[ $name =~ ^[A-Za-z0-9._@-]+$ ]] || fail "$name: only letters, digits and . _ @ -"
  done
  roles=$(printf ',"%s"' "${@:2}")
  [ $# -gt 1 ] || roles=,
  unsigned=$(printf '{"alg":"RS256","typ":"JWT"}' | base64url).$(printf \
    '{"iss":"docker-run","aud":"ws-gateway","sub":"%s","preferred_username":"%s","roles":[%s],"iat":%d,"exp":%d,"jti":"%s"}' \
    "$1" "$1" "${roles#,}" "$now" $((now + 3600)) "$(openssl rand -hex 8)" | base64url)
  printf '%s.%s\n' "$unsigned" "$(printf %s "$unsigned" | openssl dgst -sha256 -sign "$secrets/jwt-private.pem" | base64url)"
}

start() {
  command -v docker >/dev/null || fail 'docker is needed'
  make_secrets
  compose up --build --detach --wait
  cat <<END

Gateway     ws://$gateway/mqtt, http://$gateway/metrics
Grafana     http://127.0.0.1:${GRAFANA_PORT:-3000}, user admin, password in $secrets/env
Prometheus  http://127.0.0.1:${PROMETHEUS_PORT:-9090}

A token:
  export TOKEN=\$(scripts/docker_run.sh token alice device)
MQTT.js (after npm ci): subscribe, publish, and hear it:
  node -e 'const c = require("mqtt").connect("ws://$gateway/mqtt", { username: "alice", password: process.env.TOKEN, reconnectPeriod: 0 }); c.on("error", (e) => console.log(e.message)); c.on("message", (t, m) => { console.log(t, String(m)); c.end(); }); c.subscribe("hello", () => c.publish("hello", "it works"))'
Live sessions:
  curl -s -H "Authorization: Bearer \$(sed -n s/^ADMIN_TOKEN=//p $secrets/env)" http://$gateway/admin/sessions
End it, and take the data along:
  scripts/docker_run.sh down -v
END
}

case "${1:-}" in
  '') start ;;
  -h | --help) sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0" ;;
  token)
    [ -f "$secrets/env" ] || fail 'start it first: scripts/docker_run.sh'
    shift
    [ $# -gt 0 ] || set -- alice
    token "$@"
    ;;
  -*) fail "unknown option $1; see scripts/docker_run.sh --help" ;;
  *)
    [ -f "$secrets/env" ] || fail 'start it first: scripts/docker_run.sh'
    compose "$@"
    ;;
esac
