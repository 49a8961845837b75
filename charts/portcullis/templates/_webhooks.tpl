{{/*
The list of webhooks, once: rendered into the ValidatingWebhookConfiguration and into the ConfigMap that the controller
repairs it from. caBundle is left out: the controller sets it.

No condition reads what a tenant may choose freely; they ask who the user is and whether something differs between the old
and the new object, so that removing a finalizer, finalizing a namespace and collecting garbage never wait for us.
*/}}
{{- define "portcullis.webhooks" -}}
{{- $clientConfig := printf "{service: {name: portcullis-webhook, namespace: %s, path: /validate, port: 443}}" .Release.Namespace -}}
{{- $operator := include "portcullis.controllerUser" . -}}
{{- $excluded := include "portcullis.excludedNamespaces" . -}}
{{- $namespaceControllers := .Values.guards.namespaceControllers | toJson -}}
{{- $housekeepers := concat .Values.guards.namespaceControllers .Values.guards.garbageCollectors | uniq | toJson -}}
{{- $accountControllers := .Values.guards.accountControllers | toJson -}}
{{- $timeout := .Values.webhook.timeoutSeconds -}}
# pods, and whatever changes or enters them
- name: pods.portcullis.dev
  clientConfig: {{ $clientConfig }}
  admissionReviewVersions: [v1]
  failurePolicy: Fail
  matchPolicy: Equivalent
  sideEffects: NoneOnDryRun
  timeoutSeconds: {{ $timeout }}
  namespaceSelector: &governed
    matchExpressions:
      - {key: portcullis.dev/environment, operator: Exists}
      - {key: kubernetes.io/metadata.name, operator: NotIn, values: {{ $excluded }}}
  objectSelector: {}
  matchConditions:
    - name: changed
      expression: >-
        request.operation != "UPDATE" || has(request.subResource) && request.subResource != "" ||
        object.spec != oldObject.spec || object.metadata.?labels != oldObject.metadata.?labels
  rules:
    - {apiGroups: [""], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [pods], scope: Namespaced}
    - {apiGroups: [""], apiVersions: ["*"], operations: [UPDATE], resources: [pods/ephemeralcontainers, pods/resize], scope: Namespaced}
    - {apiGroups: [""], apiVersions: ["*"], operations: [CREATE], resources: [pods/binding, bindings], scope: Namespaced}
    - {apiGroups: [""], apiVersions: ["*"], operations: [CONNECT], resources: [pods/exec, pods/attach, pods/portforward, pods/proxy], scope: Namespaced}
# kinds that carry pods: a courtesy, so that the user hears it at kubectl apply
- name: workloads.portcullis.dev
  clientConfig: {{ $clientConfig }}
  admissionReviewVersions: [v1]
  failurePolicy: Fail
  matchPolicy: Equivalent
  sideEffects: NoneOnDryRun
  timeoutSeconds: {{ $timeout }}
  namespaceSelector: *governed
  objectSelector: {}
  matchConditions:
    # of the built-in kinds only the template matters, so that scaling and cleaning up never wait for us
    - name: changed
      expression: >-
        request.operation != "UPDATE" ||
        (request.resource.group in ["", "apps", "batch"] && has(object.spec.template) && has(oldObject.spec.template)
        ? object.spec.template != oldObject.spec.template : object.?spec != oldObject.?spec)
  rules:
    - {apiGroups: [apps], apiVersions: ["*"], operations: &written [CREATE, UPDATE], resources: [deployments, statefulsets, daemonsets, replicasets], scope: Namespaced}
    - {apiGroups: [batch], apiVersions: ["*"], operations: *written, resources: [jobs, cronjobs], scope: Namespaced}
    - {apiGroups: [""], apiVersions: ["*"], operations: *written, resources: [replicationcontrollers], scope: Namespaced}
    - {apiGroups: [serving.kserve.io], apiVersions: ["*"], operations: *written, resources: [inferenceservices, llminferenceservices], scope: Namespaced}
    - {apiGroups: [ray.io], apiVersions: ["*"], operations: *written, resources: [rayclusters, rayjobs, rayservices], scope: Namespaced}
    - {apiGroups: [jobset.x-k8s.io], apiVersions: ["*"], operations: *written, resources: [jobsets], scope: Namespaced}
    - {apiGroups: [leaderworkerset.x-k8s.io], apiVersions: ["*"], operations: *written, resources: [leaderworkersets], scope: Namespaced}
    - {apiGroups: [kubeflow.org], apiVersions: ["*"], operations: *written, resources: [pytorchjobs], scope: Namespaced}
    - {apiGroups: [trainer.kubeflow.org], apiVersions: ["*"], operations: *written, resources: [trainjobs], scope: Namespaced}
    - {apiGroups: [argoproj.io], apiVersions: ["*"], operations: *written, resources: [workflows], scope: Namespaced}
# the labels that make a namespace governed: without a selector, because an update is matched by its new labels
- name: namespaces.portcullis.dev
  clientConfig: {{ $clientConfig }}
  admissionReviewVersions: [v1]
  failurePolicy: Fail
  matchPolicy: Equivalent
  sideEffects: NoneOnDryRun
  timeoutSeconds: {{ $timeout }}
  namespaceSelector: {}
  objectSelector: {}
  matchConditions:
    # Pod Security labels are ours only where the namespace is governed; a namespace that becomes so changes the other label too
    - name: guarded-label-changed
      expression: >-
        request.operation == "CREATE"
        ? object.metadata.?labels.orValue({}).exists(k, k.startsWith("portcullis.dev/"))
        : (object.metadata.?labels.orValue({}).exists(k,
        (k.startsWith("portcullis.dev/") || k.startsWith("pod-security.kubernetes.io/") && "portcullis.dev/environment" in oldObject.metadata.?labels.orValue({}))
        && oldObject.metadata.?labels[?k] != object.metadata.?labels[?k])
        || oldObject.metadata.?labels.orValue({}).exists(k,
        (k.startsWith("portcullis.dev/") || k.startsWith("pod-security.kubernetes.io/") && "portcullis.dev/environment" in oldObject.metadata.?labels.orValue({}))
        && oldObject.metadata.?labels[?k] != object.metadata.?labels[?k]))
  rules:
    - {apiGroups: [""], apiVersions: ["*"], operations: *written, resources: [namespaces, namespaces/*], scope: "*"}
# what surrounds the pods of a governed namespace
- name: environment.portcullis.dev
  clientConfig: {{ $clientConfig }}
  admissionReviewVersions: [v1]
  failurePolicy: Fail
  matchPolicy: Equivalent
  sideEffects: NoneOnDryRun
  timeoutSeconds: {{ $timeout }}
  namespaceSelector: *governed
  objectSelector: {}
  matchConditions:
    - name: not-the-operator
      expression: request.userInfo.username != {{ $operator | quote }}
    - name: not-housekeeping
      expression: >-
        !(request.operation == "DELETE" && request.userInfo.username in {{ $housekeepers }}) &&
        !(request.resource.resource == "serviceaccounts" && request.userInfo.username in {{ $accountControllers }})
    - name: changed
      expression: >-
        request.operation != "UPDATE" ||
        object.metadata.?labels != oldObject.metadata.?labels || object.metadata.?annotations != oldObject.metadata.?annotations ||
        object.?spec != oldObject.?spec || object.?secrets != oldObject.?secrets ||
        object.?imagePullSecrets != oldObject.?imagePullSecrets ||
        object.?automountServiceAccountToken != oldObject.?automountServiceAccountToken
  rules:
    - {apiGroups: [networking.k8s.io], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [networkpolicies], scope: Namespaced}
    - {apiGroups: [""], apiVersions: ["*"], operations: *written, resources: [serviceaccounts], scope: Namespaced}
    - {apiGroups: [""], apiVersions: ["*"], operations: *written, resources: [services], scope: Namespaced}
    - {apiGroups: [networking.k8s.io], apiVersions: ["*"], operations: *written, resources: [ingresses], scope: Namespaced}
    - {apiGroups: [gateway.networking.k8s.io], apiVersions: ["*"], operations: *written, resources: [httproutes, grpcroutes, tlsroutes, tcproutes, udproutes], scope: Namespaced}
    - {apiGroups: [""], apiVersions: ["*"], operations: [CREATE, DELETE], resources: [persistentvolumeclaims], scope: Namespaced}
# texts of a governed namespace: an early word only, so that no ConfigMap of others ever waits for us; the audit and the
# pods that name one are judged by what it says
- name: configmaps.portcullis.dev
  clientConfig: {{ $clientConfig }}
  admissionReviewVersions: [v1]
  failurePolicy: Ignore
  matchPolicy: Equivalent
  sideEffects: NoneOnDryRun
  timeoutSeconds: {{ $timeout }}
  namespaceSelector: *governed
  objectSelector: {}
  matchConditions:
    - name: not-the-operator
      expression: request.userInfo.username != {{ $operator | quote }}
    - name: not-housekeeping
      expression: '!(request.userInfo.username in {{ $accountControllers }})'
    - name: changed
      expression: >-
        request.operation != "UPDATE" ||
        object.metadata.?labels != oldObject.metadata.?labels || object.?data != oldObject.?data ||
        object.?binaryData != oldObject.?binaryData || object.?immutable != oldObject.?immutable
  rules:
    - {apiGroups: [""], apiVersions: ["*"], operations: *written, resources: [configmaps], scope: Namespaced}
# our own kinds, everywhere; their status is a guard's matter
- name: kinds.portcullis.dev
  clientConfig: {{ $clientConfig }}
  admissionReviewVersions: [v1]
  failurePolicy: Fail
  matchPolicy: Equivalent
  sideEffects: NoneOnDryRun
  timeoutSeconds: {{ $timeout }}
  namespaceSelector: {}
  objectSelector: {}
  matchConditions:
    - name: not-the-operator
      expression: request.userInfo.username != {{ $operator | quote }}
    # the audit's rows are guarded by a policy alone
    - name: not-the-audit
      expression: request.resource.resource != "aicompliances"
    # the garbage collector is not in this list: a tenant could have an asset collected by giving it an owner
    - name: not-the-end-of-a-namespace
      expression: >-
        !(request.operation == "DELETE" && request.userInfo.username in {{ $namespaceControllers }})
    - name: changed
      expression: >-
        request.operation != "UPDATE" || object.?spec != oldObject.?spec ||
        object.metadata.?labels != oldObject.metadata.?labels || object.metadata.?annotations != oldObject.metadata.?annotations ||
        object.metadata.?ownerReferences != oldObject.metadata.?ownerReferences
  rules:
    - {apiGroups: [portcullis.dev], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: ["*"], scope: "*"}
# permissions of AI identities: an early word only, the audit finds what passed, so that RBAC never waits for us
- name: rbac.portcullis.dev
  clientConfig: {{ $clientConfig }}
  admissionReviewVersions: [v1]
  failurePolicy: Ignore
  matchPolicy: Equivalent
  sideEffects: NoneOnDryRun
  timeoutSeconds: {{ $timeout }}
  namespaceSelector: {}
  objectSelector: {}
  matchConditions:
    - name: not-the-system
      expression: '!(request.userInfo.username in ["system:apiserver", {{ $operator | quote }}])'
  rules:
    - {apiGroups: [rbac.authorization.k8s.io], apiVersions: ["*"], operations: *written, resources: [roles, rolebindings, clusterroles, clusterrolebindings], scope: "*"}
{{- end }}
