// One model in every environment, from the same specs as gen's: a list of objects an environment.

local runtimes = {
  local kserve(name) = {
    name: name,
    protocol: 'v1',
    namedBy: '--model_name',
    rate: 'request_predict_seconds_count',
  },
  sklearn: kserve('kserve-sklearnserver'),
  xgboost: kserve('kserve-xgbserver'),
  lightgbm: kserve('kserve-lgbserver'),
  mlflow: {
    name: 'kserve-mlserver',
    protocol: 'v2',
    namedIn: 'MLSERVER_MODEL_NAME',
    rate: 'model_infer_request_success_total',
  },
  tensorflow: { name: 'kserve-tensorflow-serving', protocol: 'v1', namedBy: '--model_name' },
  onnx: { name: 'kserve-tritonserver', protocol: 'v2', rate: 'nv_inference_request_success' },
  huggingface: {
    name: 'kserve-huggingfaceserver',
    protocol: 'v2',
    namedBy: '--model_name',
    rate: 'vllm:request_success_total',
  },
};

local syncPolicy = {
  automated: { prune: true, selfHeal: true, allowEmpty: false },
  retry: {
    limit: 5,
    refresh: true,
    backoff: { duration: '10s', factor: 2, maxDuration: '3m' },
  },
  syncOptions: ['ApplyOutOfSyncOnly=true', 'FailOnSharedResource=true'],
};

local merged(layer) = { [key]: layer[key] for key in ['serving', 'scaling', 'queue'] if key in layer };
local named(object) = [{ name: key, value: object[key] } for key in std.objectFields(object)];
local quoted(object) = { [key]: '%s' % object[key] for key in std.objectFields(object) };

local overlay(model, environment) =
  local block = model.environments[environment.name];
  local settings = std.mergePatch(std.mergePatch(environment.defaults, merged(model)), merged(block));
  local serving = settings.serving;
  local queue = std.get(settings, 'queue', '');
  local kserve = std.get(serving, 'backend', 'kserve') == 'kserve';
  local mode = environment.platform.kserve.mode;
  local knative = kserve && mode == 'Knative';
  local route = kserve && !knative;
  local runtime = std.get(runtimes, std.get(serving, 'format', ''), {});
  local gpu = std.get(serving, 'gpu', { count: 0 });
  local count = std.get(gpu, 'count', 1);
  local flavor = if count > 0 then environment.flavors[gpu.flavor] else {};
  local accelerators = if count > 0 then { [flavor.resource]: count } else {};
  local account = std.get(serving, 'serviceAccount');
  local requests = { cpu: serving.resources.cpu, memory: serving.resources.memory } + accelerators;
  local resources = {
    requests: quoted(requests),
    limits: quoted(requests + std.get(serving.resources, 'limits', {})),
  };
  local canary = std.get(block, 'canary');
  local share = if canary == null then 0 else canary.traffic;

  local variant(version, role, traffic, scaling) = {
    name: if route then model.name + '-' + version else model.name,
    workload: if kserve then self.name + '-predictor' else self.name,
    version: version,
    role: role,
    traffic: traffic,
    scaling: scaling,
  };
  local variants =
    [variant(block.version, 'stable', 100 - share, settings.scaling)]
    + (if canary == null then [] else [
         variant(canary.version, 'canary', share, settings.scaling + std.get(canary, 'scaling', {})),
       ])
    + (if 'standby' in block then [variant(block.standby, 'standby', 0, settings.scaling)] else []);

  local metadata(name, labels={}, annotations={}) = {
    name: name,
    namespace: environment.namespace,
    labels: {
      'app.kubernetes.io/name': model.name,
      'app.kubernetes.io/managed-by': 'gen',
    } + labels,
    [if annotations != {} then 'annotations']: annotations,
  };
  local queued = if queue == '' then {} else { 'kueue.x-k8s.io/queue-name': queue };

  local workload(variant) =
    local artifact = model.versions[variant.version];
    local scaling = variant.scaling;
    local byResource = scaling.metric == 'cpu' || scaling.metric == 'memory';
    local fixed = route && scaling.min == scaling.max;
    local own = if route && 'namedBy' in runtime then [runtime.namedBy + '=' + model.name] else [];
    local args = own + std.get(serving, 'args', []) + std.get(artifact, 'args', []);
    local first = if route && 'namedIn' in runtime then [{ name: runtime.namedIn, value: model.name }] else [];
    local env = first + named(std.get(serving, 'env', {}) + std.get(artifact, 'env', {}));
    local container = {
      [if args != [] then 'args']: args,
      [if env != [] then 'env']: env,
      resources: resources,
    };
    local target = { apiVersion: 'apps/v1', kind: 'Deployment', name: variant.workload };

    local inferenceService = {
      apiVersion: 'serving.kserve.io/v1beta1',
      kind: 'InferenceService',
      metadata: metadata(
        variant.name,
        { 'app.kubernetes.io/version': variant.version } + queued
        + (if route then { 'networking.kserve.io/visibility': 'cluster-local' } else {}),
        { 'serving.kserve.io/deploymentMode': mode }
        + (if knative then {
             'autoscaling.knative.dev/class':
               (if byResource then 'hpa' else 'kpa') + '.autoscaling.knative.dev',
           } else {
             'serving.kserve.io/autoscalerClass':
               if fixed then 'none' else if byResource then 'hpa' else 'external',
           })
      ),
      spec: {
        predictor: {
          minReplicas: scaling.min,
          maxReplicas: scaling.max,
          [if knative || byResource && !fixed then 'scaleMetric']:
            if scaling.metric == 'requests-per-second' then 'rps' else scaling.metric,
          [if knative || byResource && !fixed then 'scaleTarget']: scaling.target,
          timeout: serving.timeout,
          [if knative && variant.role == 'canary' then 'canaryTrafficPercent']: variant.traffic,
          [if account != null then 'serviceAccountName']: model.name,
          [if flavor != {} then 'nodeSelector']: flavor.nodeLabels,
          [if flavor != {} then 'tolerations']: [taint { operator: 'Equal' } for taint in flavor.taints],
          model: {
            modelFormat: { name: serving.format },
            protocolVersion: runtime.protocol,
            runtime: runtime.name,
            [if 'uri' in artifact then 'storageUri']: artifact.uri,
          } + container,
        },
      },
    };

    local probe(path, times) = { httpGet: { path: path, port: 'http' } } + times;
    local probes = serving.probes;
    local deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: metadata(model.name, queued),
      spec: {
        selector: { matchLabels: { 'app.kubernetes.io/name': model.name } },
        template: {
          metadata: {
            labels: {
              'app.kubernetes.io/name': model.name,
              'app.kubernetes.io/managed-by': 'gen',
              'app.kubernetes.io/version': variant.version,
            },
          },
          spec: {
            [if account != null then 'serviceAccountName']: model.name,
            automountServiceAccountToken: account != null,
            securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
            containers: [{
              name: model.name,
              image: artifact.image,
              ports: [{ name: 'http', containerPort: serving.port, protocol: 'TCP' }],
              startupProbe: probe(std.get(probes, 'startup', probes.liveness), {
                periodSeconds: 5,
                failureThreshold: std.ceil(std.get(probes, 'startupSeconds', 120) / 5),
              }),
              livenessProbe: probe(probes.liveness, { periodSeconds: 10, timeoutSeconds: 5 }),
              readinessProbe: probe(probes.readiness, { periodSeconds: 5, timeoutSeconds: 5 }),
              securityContext: {
                allowPrivilegeEscalation: false,
                capabilities: { drop: ['ALL'] },
              },
            } + container],
          },
        },
      },
    };
    local service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(model.name),
      spec: {
        selector: { 'app.kubernetes.io/name': model.name },
        ports: [{ name: 'http', port: serving.port, targetPort: 'http', protocol: 'TCP' }],
      },
    };
    local autoscaler = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: metadata(model.name),
      spec: {
        scaleTargetRef: target,
        minReplicas: scaling.min,
        maxReplicas: scaling.max,
        metrics: [{
          type: 'Resource',
          resource: {
            name: scaling.metric,
            target: { type: 'Utilization', averageUtilization: scaling.target },
          },
        }],
      },
    };

    local selector =
      'namespace="%s",pod=~"%s-[a-z0-9]+-[a-z0-9]+"' % [environment.namespace, variant.workload];
    local query =
      if scaling.metric == 'concurrency' then
        'sum(vllm:num_requests_running{%s}) + sum(vllm:num_requests_waiting{%s})' % [selector, selector]
      else 'sum(rate(%s{%s}[2m]))' % [runtime.rate, selector];
    local scaledObject = {
      apiVersion: 'keda.sh/v1alpha1',
      kind: 'ScaledObject',
      metadata: metadata(variant.name),
      spec: {
        scaleTargetRef: target,
        minReplicaCount: scaling.min,
        maxReplicaCount: scaling.max,
        fallback: { failureThreshold: 3, replicas: scaling.min, behavior: 'currentReplicasIfHigher' },
        triggers: [{
          type: 'prometheus',
          name: scaling.metric,
          metricType: 'AverageValue',
          metadata: {
            serverAddress: environment.platform.prometheus.address,
            query: query + ' or vector(0)',
            threshold: '%s' % scaling.target,
            ignoreNullValues: 'false',
          },
        }],
      },
    };
    (if kserve then [inferenceService] else [deployment, service, autoscaler])
    + (if route && !byResource && !fixed then [scaledObject] else []);

  local port = if kserve then 80 else serving.port;
  local httpRoute = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: metadata(model.name),
    spec: {
      parentRefs: [{
        group: 'gateway.networking.k8s.io',
        kind: 'Gateway',
        name: environment.platform.kserve.gateway.name,
        namespace: environment.platform.kserve.gateway.namespace,
      }],
      hostnames: [
        '%s-%s.%s' % [model.name, environment.namespace, environment.platform.kserve.domain],
      ],
      rules: [{
        matches: [{ path: { type: 'PathPrefix', value: '/' } }],
        timeouts: { request: '%ss' % serving.timeout },
        backendRefs: [
          { group: '', kind: 'Service', name: each.workload, port: port, weight: each.traffic }
          for each in variants
        ],
      }],
    },
  };
  local serviceAccount = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(model.name, annotations=std.get(account, 'annotations', {})),
    [if 'secrets' in account then 'secrets']: [{ name: secret } for secret in account.secrets],
  };
  local application = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: {
      name: environment.name + '-' + model.name,
      namespace: 'argocd',
      labels: {
        'app.kubernetes.io/name': model.name,
        'app.kubernetes.io/part-of': environment.name,
        'app.kubernetes.io/managed-by': 'gen',
        owner: model.owner,
      },
      annotations: {
        'argocd.argoproj.io/manifest-generate-paths': '.;/rendered/_base/' + model.name,
        'argocd.argoproj.io/sync-wave': '0',
      },
    },
    spec: {
      project: environment.argocd.project,
      source: {
        repoURL: environment.argocd.repoURL,
        targetRevision: 'main',
        path: 'rendered/%s/%s' % [environment.name, model.name],
      },
      destination: { server: environment.cluster.server, namespace: environment.namespace },
      info: [{ name: 'description', value: model.description }],
      syncPolicy: syncPolicy,
    },
  };

  local last = variants[std.length(variants) - 1];
  local workloads = if route then variants else if canary == null then [variants[0]] else [last];
  std.flatMap(workload, workloads)
  + (if mode != 'Knative' then [httpRoute] else [])
  + (if account == null then [] else [serviceAccount])
  + [application];

function(model, environments) {
  [environment.name]: overlay(model, environment)
  for environment in environments
}
