//! What the place promises by itself: containers run as their Pods say.

use super::{IMAGE, Place};

/// `pratique check` as a container: what it judges is a ConfigMap, which policy is a variable, and it is tried until it admits.
const JUDGE: &str = "
kubectl create configmap asked --from-literal=pod.yaml='
  {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: \"nginx:latest\"}]}}'
kubectl wait --for=create serviceaccount/default --timeout=20s
kubectl apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: judge}
spec:
  restartPolicy: OnFailure
  containers:
  - name: judge
    image: $IMAGE:any
    args: [check, --policy, $(POLICY), -f, /asked/pod.yaml]
    env: [{name: POLICY, value: baseline}]
    volumeMounts: [{name: asked, mountPath: /asked}]
  volumes: [{name: asked, configMap: {name: asked}}]
EOF
kubectl wait pod/judge --for=jsonpath='{.status.containerStatuses[0].lastState.terminated.exitCode}'=1 --timeout=30s";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn containers_run_as_their_pods_say_and_see_what_changes_in_their_volumes() {
    let place = Place::new().await;
    place.run(&JUDGE.replace("$IMAGE", IMAGE).replace("$(POLICY)", r"\$(POLICY)"));
    assert!(place.run("kubectl logs judge").contains("tag-mutable"));
    place.run(
        "kubectl create configmap asked --dry-run=client -o yaml --from-literal=pod.yaml='
          {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: \"nginx:1.29.3\"}]}}' |
            kubectl replace -f -
        kubectl wait pod/judge --for=jsonpath='{.status.phase}'=Succeeded --timeout=60s
        kubectl logs judge --tail=3",
    );
    // On a node of three, one Pod each.
    let spread = place.run(
        "kubectl create deployment web --image=registry.invalid/web:1 --replicas=3 > /dev/null
        kubectl rollout status deployment/web --timeout=60s > /dev/null
        kubectl get pods -l app=web -o jsonpath='{range .items[*]}{.spec.nodeName}{\"\\n\"}{end}' | sort -u | wc -l",
    );
    assert_eq!(spread.trim(), "3");
    place.run("kubectl drain node-1 --ignore-daemonsets --force --timeout=60s");
    let left = place.run("kubectl get pods --field-selector=spec.nodeName=node-1 -A -o name");
    assert_eq!(left.trim(), "");
}
