{{/* Whether the user may pass the guards: the same question in every policy. Cluster administrators hold every verb. */}}
{{- define "portcullis.mayPassGuards" -}}
authorizer.group("admissionregistration.k8s.io").resource("validatingwebhookconfigurations").name("portcullis").check("guard").allowed()
{{- end }}

{{/* Every guard as it is installed, as a list of kind, name and spec: the controller compares the live ones with it. */}}
{{- define "portcullis.guardList" -}}
{{- $all := list }}
{{- range $part := list "configuration" "generated" "namespaces" "pods" "status" "tokens" "trust" }}
{{- range $text := splitList "\n---\n" (include (printf "portcullis.guards.%s" $part) $) }}
{{- $object := fromYaml $text }}
{{- $all = append $all (dict "kind" $object.kind "name" $object.metadata.name "spec" $object.spec) }}
{{- end }}
{{- end }}
{{- toJson $all }}
{{- end }}
