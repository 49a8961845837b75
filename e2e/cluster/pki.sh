# The keys of a throwaway cluster: one CA, a certificate for each program, kubeconfigs. Needs openssl alone.
# shellcheck shell=bash
# Uses of lib.sh: $pki $state.

make_ca() {
  mkdir -p "$pki"; chmod 700 "$pki"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=portcullis-throwaway" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
  openssl ecparam -genkey -name prime256v1 -noout -out "$pki/sa.key" 2>/dev/null
  openssl ec -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
}

# issue FILE SUBJECT [NAMES]: NAMES as openssl spells them (DNS:a,IP:b) make it a server's certificate too.
issue() {
  local file=$pki/$1 subject=$2 names=${3:-}
  {
    echo "basicConstraints=critical,CA:FALSE"
    echo "keyUsage=critical,digitalSignature"
    if [ -n "$names" ]; then echo "extendedKeyUsage=serverAuth,clientAuth"; echo "subjectAltName=$names"
    else echo "extendedKeyUsage=clientAuth"; fi
  } >"$file.ext"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" -keyout "$file.key" -out "$file.csr" 2>/dev/null
  openssl x509 -req -in "$file.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial "0x$(openssl rand -hex 12)" \
    -days 30 -extfile "$file.ext" -out "$file.crt" 2>/dev/null
  rm -f "$file.csr" "$file.ext"
}

# write_kubeconfig FILE SERVER CERTIFICATE: everything inside, so that the file may be copied anywhere.
write_kubeconfig() {
  local file=$1 server=$2 certificate=$3
  umask 077
  cat >"$file" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: portcullis
  cluster: {server: "$server", certificate-authority-data: $(base64 -w0 <"$pki/ca.crt")}
users:
- name: $certificate
  user: {client-certificate-data: $(base64 -w0 <"$pki/$certificate.crt"), client-key-data: $(base64 -w0 <"$pki/$certificate.key")}
contexts:
- name: portcullis
  context: {cluster: portcullis, user: $certificate}
current-context: portcullis
YAML
  umask 022
}
