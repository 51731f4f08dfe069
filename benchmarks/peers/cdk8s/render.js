// Make every overlay of a fleet with cdk8s: a chart, and so a file, an overlay. An app a model, since
// one of all takes a time that grows with the square of the fleet.
//
//     node render.js SPECS OUTPUT

'use strict';

const fs = require('fs');
const path = require('path');
const { ApiObject, App, Chart, YamlOutputType } = require('cdk8s');
const yaml = require('yaml');

const kserve = (name) => ({ name, protocol: 'v1', namedBy: '--model_name', rate: 'request_predict_seconds_count' });
const RUNTIMES = {
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

const isMap = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

function merge(under, over) {
  const merged = { ...under };
  for (const [key, value] of Object.entries(over)) {
    merged[key] = isMap(value) && isMap(merged[key]) ? merge(merged[key], value) : value;
  }
  return merged;
}

function mergeable({ serving, scaling, queue }) {
  return { ...(serving && { serving }), ...(scaling && { scaling }), ...(queue && { queue }) };
}

const quoted = (map) => Object.fromEntries(Object.entries(map).map(([key, value]) => [key, String(value)]));

function facts(model, environment) {
  const block = model.environments[environment.name];
  const settings = merge(merge(environment.defaults, mergeable(model)), mergeable(block));
  const { serving } = settings;
  const isKserve = serving.backend !== 'deployment';
  const { mode } = environment.platform.kserve;
  const route = isKserve && mode !== 'Knative';
  const { flavor: name, count = 1 } = serving.gpu ?? { count: 0 };
  const flavor = count > 0 ? environment.flavors[name] : undefined;
  const { cpu, memory, limits } = serving.resources;
  const requests = { cpu, memory, ...(flavor && { [flavor.resource]: count }) };
  const resources = { requests: quoted(requests), limits: quoted({ ...requests, ...limits }) };
  const facts = { model, environment, settings, serving, isKserve, route, mode, flavor, resources };
  facts.runtime = RUNTIMES[serving.format] ?? {};
  facts.queue = settings.queue ? { 'kueue.x-k8s.io/queue-name': settings.queue } : {};
  facts.variants = variants(facts, block);
  const canary = facts.variants.filter(({ role }) => role === 'canary');
  facts.workloads = route ? facts.variants : [...canary, facts.variants[0]].slice(0, 1);
  return facts;
}

function variants({ model, settings, isKserve, route }, { version, canary, standby }) {
  const share = canary?.traffic ?? 0;
  const variant = (version, role, traffic, scaling) => {
    const name = route ? `${model.name}-${version}` : model.name;
    return { name, workload: isKserve ? `${name}-predictor` : name, version, role, traffic, scaling };
  };
  const found = [variant(version, 'stable', 100 - share, settings.scaling)];
  if (canary) {
    found.push(variant(canary.version, 'canary', share, { ...settings.scaling, ...canary.scaling }));
  }
  if (standby) {
    found.push(variant(standby, 'standby', 0, settings.scaling));
  }
  return found;
}

function metadata({ model, environment }, name, labels = {}, annotations = undefined) {
  const own = { 'app.kubernetes.io/name': model.name, 'app.kubernetes.io/managed-by': 'gen' };
  return { name, namespace: environment.namespace, labels: { ...own, ...labels }, ...(annotations && { annotations }) };
}

function* objects(facts) {
  for (const variant of facts.workloads) {
    const { metric, min, max } = variant.scaling;
    const byResource = metric === 'cpu' || metric === 'memory';
    const fixed = facts.route && min === max;
    if (facts.isKserve) {
      yield inferenceService(facts, variant, byResource, fixed);
    } else {
      yield deployment(facts, variant);
      yield service(facts);
      yield autoscaler(facts, variant);
    }
    if (facts.route && !byResource && !fixed) {
      yield scaledObject(facts, variant);
    }
  }
  if (facts.mode !== 'Knative') {
    yield httpRoute(facts);
  }
  if (facts.serving.serviceAccount) {
    yield serviceAccount(facts);
  }
  yield application(facts);
}

function container({ model, serving, route, runtime, resources }, { version }) {
  const artifact = model.versions[version];
  const args = [...(serving.args ?? []), ...(artifact.args ?? [])];
  if (route && runtime.namedBy) {
    args.unshift(`${runtime.namedBy}=${model.name}`);
  }
  const first = route && runtime.namedIn ? { [runtime.namedIn]: model.name } : {};
  const variables = { ...first, ...serving.env, ...artifact.env };
  const env = Object.entries(variables).map(([name, value]) => ({ name, value }));
  return { ...(args.length && { args }), ...(env.length && { env }), resources };
}

function inferenceService(facts, variant, byResource, fixed) {
  const { model, serving, route, mode, runtime, flavor } = facts;
  const { metric, min, max, target } = variant.scaling;
  const artifact = model.versions[variant.version];
  const labels = { 'app.kubernetes.io/version': variant.version, ...facts.queue };
  const annotations = { 'serving.kserve.io/deploymentMode': mode };
  if (route) {
    labels['networking.kserve.io/visibility'] = 'cluster-local';
    annotations['serving.kserve.io/autoscalerClass'] = fixed ? 'none' : byResource ? 'hpa' : 'external';
  } else {
    annotations['autoscaling.knative.dev/class'] = `${byResource ? 'hpa' : 'kpa'}.autoscaling.knative.dev`;
  }
  const scaleMetric = metric === 'requests-per-second' ? 'rps' : metric;
  return {
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    metadata: metadata(facts, variant.name, labels, annotations),
    spec: {
      predictor: {
        minReplicas: min,
        maxReplicas: max,
        ...((!route || (byResource && !fixed)) && { scaleMetric, scaleTarget: target }),
        timeout: serving.timeout,
        ...(!route && variant.role === 'canary' && { canaryTrafficPercent: variant.traffic }),
        ...(serving.serviceAccount && { serviceAccountName: model.name }),
        ...(flavor && {
          nodeSelector: flavor.nodeLabels,
          tolerations: flavor.taints.map((taint) => ({ ...taint, operator: 'Equal' })),
        }),
        model: {
          modelFormat: { name: serving.format },
          protocolVersion: runtime.protocol,
          runtime: runtime.name,
          ...(artifact.uri && { storageUri: artifact.uri }),
          ...container(facts, variant),
        },
      },
    },
  };
}

function deployment(facts, variant) {
  const { model, serving, queue } = facts;
  const own = { 'app.kubernetes.io/name': model.name };
  const labels = { ...own, 'app.kubernetes.io/managed-by': 'gen', 'app.kubernetes.io/version': variant.version };
  const probe = (path, times) => ({ httpGet: { path, port: 'http' }, ...times });
  const { liveness, readiness, startup = liveness, startupSeconds = 120 } = serving.probes;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata(facts, model.name, queue),
    spec: {
      selector: { matchLabels: own },
      template: {
        metadata: { labels },
        spec: {
          ...(serving.serviceAccount && { serviceAccountName: model.name }),
          automountServiceAccountToken: Boolean(serving.serviceAccount),
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [
            {
              name: model.name,
              image: model.versions[variant.version].image,
              ...container(facts, variant),
              ports: [{ name: 'http', containerPort: serving.port, protocol: 'TCP' }],
              startupProbe: probe(startup, { periodSeconds: 5, failureThreshold: Math.ceil(startupSeconds / 5) }),
              livenessProbe: probe(liveness, { periodSeconds: 10, timeoutSeconds: 5 }),
              readinessProbe: probe(readiness, { periodSeconds: 5, timeoutSeconds: 5 }),
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            },
          ],
        },
      },
    },
  };
}

function service(facts) {
  const { model, serving } = facts;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(facts, model.name),
    spec: {
      selector: { 'app.kubernetes.io/name': model.name },
      ports: [{ name: 'http', port: serving.port, targetPort: 'http', protocol: 'TCP' }],
    },
  };
}

const scaleTarget = ({ workload }) => ({ apiVersion: 'apps/v1', kind: 'Deployment', name: workload });

function autoscaler(facts, variant) {
  const { metric, min, max, target } = variant.scaling;
  const resource = { name: metric, target: { type: 'Utilization', averageUtilization: target } };
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: metadata(facts, facts.model.name),
    spec: {
      scaleTargetRef: scaleTarget(variant),
      minReplicas: min,
      maxReplicas: max,
      metrics: [{ type: 'Resource', resource }],
    },
  };
}

function query({ environment, runtime }, { workload, scaling }) {
  const selector = `namespace="${environment.namespace}",pod=~"${workload}-[a-z0-9]+-[a-z0-9]+"`;
  if (scaling.metric === 'concurrency') {
    const running = `sum(vllm:num_requests_running{${selector}})`;
    return `${running} + sum(vllm:num_requests_waiting{${selector}}) or vector(0)`;
  }
  return `sum(rate(${runtime.rate}{${selector}}[2m])) or vector(0)`;
}

function scaledObject(facts, variant) {
  const { metric, min, max, target } = variant.scaling;
  return {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: metadata(facts, variant.name),
    spec: {
      scaleTargetRef: scaleTarget(variant),
      minReplicaCount: min,
      maxReplicaCount: max,
      fallback: { failureThreshold: 3, replicas: min, behavior: 'currentReplicasIfHigher' },
      triggers: [
        {
          type: 'prometheus',
          name: metric,
          metricType: 'AverageValue',
          metadata: {
            serverAddress: facts.environment.platform.prometheus.address,
            query: query(facts, variant),
            threshold: String(target),
            ignoreNullValues: 'false',
          },
        },
      ],
    },
  };
}

function httpRoute(facts) {
  const { model, environment, serving } = facts;
  const { gateway, domain } = environment.platform.kserve;
  const port = facts.isKserve ? 80 : serving.port;
  const backendRefs = facts.variants.map(({ workload, traffic }) => (
    { group: '', kind: 'Service', name: workload, port, weight: traffic }
  ));
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: metadata(facts, model.name),
    spec: {
      parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', ...gateway }],
      hostnames: [`${model.name}-${environment.namespace}.${domain}`],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/' } }],
          timeouts: { request: `${serving.timeout}s` },
          backendRefs,
        },
      ],
    },
  };
}

function serviceAccount(facts) {
  const { annotations, secrets } = facts.serving.serviceAccount;
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(facts, facts.model.name, {}, annotations),
    ...(secrets && { secrets: secrets.map((name) => ({ name })) }),
  };
}

function application({ model, environment }) {
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: {
      name: `${environment.name}-${model.name}`,
      namespace: 'argocd',
      labels: {
        'app.kubernetes.io/name': model.name,
        'app.kubernetes.io/part-of': environment.name,
        'app.kubernetes.io/managed-by': 'gen',
        owner: model.owner,
      },
      annotations: {
        'argocd.argoproj.io/manifest-generate-paths': `.;/rendered/_base/${model.name}`,
        'argocd.argoproj.io/sync-wave': '0',
      },
    },
    spec: {
      project: environment.argocd.project,
      source: {
        repoURL: environment.argocd.repoURL,
        targetRevision: 'main',
        path: `rendered/${environment.name}/${model.name}`,
      },
      destination: { server: environment.cluster.server, namespace: environment.namespace },
      info: [{ name: 'description', value: model.description }],
      syncPolicy: {
        automated: { prune: true, selfHeal: true, allowEmpty: false },
        retry: { limit: 5, refresh: true, backoff: { duration: '10s', factor: 2, maxDuration: '3m' } },
        syncOptions: ['ApplyOutOfSyncOnly=true', 'FailOnSharedResource=true'],
      },
    },
  };
}

function read(folder) {
  const names = fs.readdirSync(folder).sort();
  return names.map((name) => yaml.parse(fs.readFileSync(path.join(folder, name), 'utf8')));
}

function main(specs, output) {
  const environments = read(path.join(specs, 'environments'));
  for (const model of read(path.join(specs, 'models'))) {
    const app = new App({ outdir: output, yamlOutputType: YamlOutputType.FILE_PER_CHART });
    for (const environment of environments) {
      const chart = new Chart(app, `${environment.name}-${model.name}`);
      let count = 0;
      for (const object of objects(facts(model, environment))) {
        new ApiObject(chart, `object-${count++}`, object);
      }
    }
    app.synth();
  }
}

main(...process.argv.slice(2));
