{{/* Our kinds, one list for every role */}}
{{- define "portcullis.namespacedKinds" -}}
[aidatasets, aievidences, aiexemptions, aimodels, aiprompts, aiworkloads]
{{- end }}
{{- define "portcullis.clusterKinds" -}}
[aicompliances, aigovernances, aiprofiles, aisuppliers, aitrustpolicies]
{{- end }}
{{- define "portcullis.allKinds" -}}
{{ concat (include "portcullis.namespacedKinds" . | fromYamlArray) (include "portcullis.clusterKinds" . | fromYamlArray) | sortAlpha | toJson }}
{{- end }}

{{/* What both the webhook and the controller keep in their watch caches */}}
{{- define "portcullis.readRules" -}}
- apiGroups: [portcullis.dev]
  resources: {{ include "portcullis.allKinds" . }}
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps, limitranges, namespaces, persistentvolumeclaims, persistentvolumes, resourcequotas, serviceaccounts, services]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [clusterrolebindings, clusterroles, rolebindings, roles]
  verbs: [get, list, watch]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, prometheusrules, servicemonitors]
  verbs: [get, list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways, grpcroutes, httproutes, referencegrants, tcproutes, tlsroutes, udproutes]
  verbs: [get, list, watch]
- apiGroups: [gateway.envoyproxy.io]
  resources: [backendtrafficpolicies]
  verbs: [get, list, watch]
- apiGroups: [resource.k8s.io]
  resources: [resourceclaims, resourceclaimtemplates]
  verbs: [get, list, watch]
# the owner of a refused pod, who gets the Event: one object at a time, by name
- apiGroups: [apps]
  resources: [daemonsets, deployments, replicasets, statefulsets]
  verbs: [get]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [get]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* Trust roots in ConfigMaps of the release's namespace, watched by name */}}
{{- define "portcullis.trustRootRule" -}}
{{- with .Values.registry.trustRootConfigMaps -}}
# trust roots that AITrustPolicies refer to
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: {{ . | toJson }}
  verbs: [get, list, watch]
{{- end -}}
{{- end }}

{{/* Both verify signatures: the webhook what is asked for, the controller what is declared and what runs */}}
{{- define "portcullis.pullSecretRule" -}}
{{- if .Values.registry.readPullSecrets -}}
# credentials of private registries
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ required "registry.readPullSecrets needs registry.pullSecretNames: without names it would be every Secret" (.Values.registry.pullSecretNames | default "") | toJson }}
  verbs: [get]
{{- end -}}
{{- end }}
