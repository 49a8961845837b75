//! Who is reached by which right, and by which binding.

use super::*;
use serde_json::json;

fn role(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: Some("rbac.authorization.k8s.io".into()), kind: kind.into(), name: name.into() }
}

fn subjects(value: serde_json::Value) -> Vec<Subject> {
    serde_json::from_value(value).unwrap()
}

fn rule(verb: &str) -> PolicyRule {
    PolicyRule { verbs: vec![verb.into()], ..PolicyRule::default() }
}

#[test]
fn an_identity_is_reached_by_name_by_groups_and_by_user() {
    let mut index = RbacIndex::default();
    index.set_role(None, "view", vec![rule("get")]);
    index.set_role(Some("a"), "own", vec![rule("list")]);
    let everybody = subjects(json!([{"kind": "Group", "name": "system:authenticated"}]));
    index.set_binding(None, "all", &role("ClusterRole", "view"), &everybody);
    let accounts = subjects(json!([{"kind": "Group", "name": "system:serviceaccounts:a"}]));
    index.set_binding(Some("a"), "group", &role("Role", "own"), &accounts);
    let user = subjects(json!([{"kind": "User", "name": "system:serviceaccount:a:chat"}]));
    index.set_binding(Some("b"), "user", &role("Role", "missing"), &user);
    let implied = subjects(json!([{"kind": "ServiceAccount", "name": "chat"}]));
    index.set_binding(Some("a"), "named", &role("ClusterRole", "view"), &implied);

    let grants = index.grants("a", "chat");
    let seen: Vec<_> = grants.iter().map(|g| (g.binding.name, g.via, g.rules.map(<[_]>::len))).collect();
    assert_eq!(
        seen,
        [
            ("named", Via::Account, Some(1)),
            ("user", Via::Account, None),
            ("group", Via::NamespaceGroup, Some(1)),
            ("all", Via::Authenticated, Some(1)),
        ]
    );
    assert_eq!(index.grants("b", "chat").len(), 1, "only what everybody holds");
}

#[test]
fn who_holds_rights_in_a_namespace_is_told_by_binding() {
    let secrets = |verb: &str| {
        vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["secrets".to_owned()]),
            verbs: vec![verb.to_owned()],
            ..PolicyRule::default()
        }]
    };
    let mut index = RbacIndex::default();
    let ada = subjects(json!([{"kind": "User", "name": "ada"}]));
    assert!(index.set_binding(Some("a"), "own", &role("Role", "r"), &ada).is_empty(), "no rights yet");
    let touched = index.set_role(Some("a"), "r", secrets("get"));
    assert_eq!(touched.into_iter().collect::<Vec<_>>(), [Reach::Holders(Some("a".into()))]);
    assert!(index.set_role(Some("a"), "r", secrets("list")).is_empty(), "the same right");
    index.set_role(None, "all", secrets("*"));
    let many =
        subjects(json!([{"kind": "Group", "name": "ops"}, {"kind": "Group", "name": "system:masters"},
        {"kind": "ServiceAccount", "name": "sync", "namespace": "cd"}]));
    assert!(
        index.set_binding(None, "ops", &role("ClusterRole", "all"), &many).contains(&Reach::Holders(None))
    );
    index.set_binding(Some("b"), "other", &role("ClusterRole", "all"), &ada);
    let names = |holders: Vec<Holder<'_>>| -> Vec<String> {
        holders.iter().map(|h| format!("{} by {}", h.who, h.binding)).collect()
    };
    assert_eq!(
        names(index.holders("a")),
        [
            "group:ops by ClusterRoleBinding \"ops\"",
            "serviceaccount:cd/sync by ClusterRoleBinding \"ops\"",
            "user:ada by RoleBinding \"own\"",
        ]
    );
    assert_eq!(names(index.own_holders("b")), ["user:ada by RoleBinding \"other\""]);
    assert!(index.remove_binding(Some("a"), "own").contains(&Reach::Holders(Some("a".into()))));
    assert_eq!(index.holders("a").len(), 2);
}

#[test]
fn a_group_may_stop_what_its_bindings_let_it_change() {
    let mut index = RbacIndex::default();
    assert_eq!(index.group_may("ops", "a", "chat"), None, "nobody knows");
    let ops = subjects(json!([{"kind": "Group", "name": "ops"}]));
    index.set_binding(Some("a"), "b", &role("ClusterRole", "edit"), &ops);
    assert_eq!(index.group_may("ops", "a", "chat"), Some(false), "the role does not exist");
    let rule = |names: serde_json::Value| {
        serde_json::from_value(json!({"apiGroups": ["portcullis.dev"], "resources": ["aiworkloads"],
            "verbs": ["get", "patch"], "resourceNames": names}))
        .unwrap()
    };
    index.set_role(None, "edit", vec![rule(json!(["other"]))]);
    assert_eq!(index.group_may("ops", "a", "chat"), Some(false));
    let reached = index.set_role(None, "edit", vec![rule(json!([]))]);
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), [Reach::Group(Some("a".into()), "ops".into())]);
    assert_eq!(index.group_may("ops", "a", "chat"), Some(true));
    assert_eq!(index.group_may("ops", "b", "chat"), None);
    index.complete();
    assert_eq!(index.group_may("ops", "b", "chat"), Some(false));
    index.set_binding(None, "all", &role("ClusterRole", "edit"), &ops);
    assert_eq!(index.group_may("ops", "b", "chat"), Some(true));
    assert!(index.grants("a", "chat").is_empty(), "no ServiceAccount is in a group of people");
}

#[test]
fn a_changed_role_reaches_those_it_is_bound_to() {
    let mut index = RbacIndex::default();
    let chat = subjects(json!([{"kind": "ServiceAccount", "name": "chat", "namespace": "a"}]));
    index.set_binding(None, "b", &role("ClusterRole", "r"), &chat);
    let reached = index.set_role(None, "r", vec![rule("*")]);
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), [Reach::Account("a".into(), "chat".into())]);
    index.remove_binding(None, "b");
    assert!(index.is_empty());
    assert!(index.set_role(None, "r", vec![]).is_empty());
}

#[test]
fn a_binding_is_for_one_account_alone_where_it_names_no_other() {
    let mut index = RbacIndex::default();
    let chat = json!({"kind": "ServiceAccount", "name": "chat", "namespace": "a"});
    let mut binds = |name: &str, role: &RoleRef, list: serde_json::Value| {
        index.set_binding(Some("a"), name, role, &subjects(list));
        index.binds_only("a", name)
    };
    let own = role("Role", "chat");
    assert!(binds("chat", &own, json!([chat])));
    assert!(
        binds("chat", &own, json!([{"kind": "ServiceAccount", "name": "chat"}])),
        "the namespace is implied"
    );
    for more in [
        json!({"kind": "ServiceAccount", "name": "other", "namespace": "a"}),
        json!({"kind": "User", "name": "ada"}),
        json!({"kind": "User", "name": "system:serviceaccount:odd"}),
        json!({"kind": "Group", "name": "system:nodes"}),
    ] {
        assert!(!binds("chat", &own, json!([chat, more])), "{more}");
    }
    assert!(!binds("chat", &own, json!([{"kind": "User", "name": "system:serviceaccount:a:chat"}])));
    assert!(!binds("chat", &own, json!([{"kind": "ServiceAccount", "name": "chat", "namespace": "b"}])));
    assert!(!binds("chat", &own, json!([])));
    assert!(!binds("chat", &role("ClusterRole", "chat"), json!([chat])));
    assert!(!binds("chat", &role("Role", "other"), json!([chat])));
    assert!(!binds("other", &own, json!([chat])), "of another name");
}
