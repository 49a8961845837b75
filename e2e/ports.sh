# Shared by whatever starts servers on this machine.
# shellcheck shell=bash

# A free TCP port of this machine. Below the range that the kernel hands out by itself; random, as others choose too.
free_port() {
  local port
  while :; do
    port=$((10000 + (RANDOM * 32768 + RANDOM) % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}
