//! The key that the service signs with is rotated by the unit beside it.

use edgemint::clock::{Clock as _, SystemClock};
use edgemint::config::KeyGroupId;
use edgemint::keystore::cloudfront::KeyGroup;
use edgemint::keystore::{Aws, Folder};
use edgemint::signing::{KeyPairId, PrivateKey};

use super::{Machine, get, read};
use crate::ministack::MiniStack;
use crate::process::Site;
use crate::rotation::world::{TestEdge, key_group};
use crate::support::rsa_pem;

/// A site whose only key has signed for 40 days, and the key group that trusts it.
async fn site(stack: &MiniStack) -> (Site, KeyPairId, KeyGroup, TestEdge) {
    let pem = rsa_pem();
    let public = PrivateKey::from_pem(&pem).unwrap().public().to_pem().unwrap();
    let (first, group) = key_group(&stack.config(), "unit", &public).await;
    let aws = Aws::with(stack.config());
    let key_group = KeyGroup::new(KeyGroupId::parse(&group).unwrap(), &aws).await;
    let edge = TestEdge::start(key_group.clone(), stack.config()).await;
    let mut site = Site::prepare().await;
    let keys = site.folder.path().join("keys");
    std::fs::remove_dir_all(&keys).unwrap();
    Folder::new(keys).import(&first, &pem, SystemClock.now().minus(40 * 86_400)).unwrap();
    let rotation = format!(
        "[rotation]\nkey_group = \"{group}\"\nprobe = \"{}/lab-a/probe.txt\"\n\
         instances = [\"http://127.0.0.1:{}\"]\n",
        edge.url, site.port
    );
    site.config.push_str(&rotation);
    // The folder of the machine, and the host that the edge serves.
    site.config = site.config.replace("dir:keys", "dir:/etc/edgemint/keys");
    for host in ["viewer", "data"] {
        let url = format!("http://{host}.edgemint.localhost:{}", site.port);
        site.config = site.config.replace(&url, &edge.url);
    }
    let rule = "[[rule]]";
    site.config = site.config.replacen(rule, &format!("path = \"/lab-a/\"\n{rule}"), 1);
    site.write_config(&site.config);
    (site, first, key_group, edge)
}

/// Where this machine's AWS is, and an edge that need not be watched for a minute.
fn drop_in(site: &Site, stack: &MiniStack) {
    let unit = read("edgemint-rotate.service");
    let command = unit.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    let aws = stack.environment().map(|(name, value)| format!("Environment={name}={value}\n"));
    let text = format!("[Service]\nExecStart=\n{command} --settle 1s\n{}", aws.concat());
    let folder = site.folder.path().join("machine/system/edgemint-rotate.service.d");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("aws.conf"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "systemd runs in namespaces here, which needs root: make test runs it as root"]
async fn under_systemd_the_rotation_replaces_an_old_key_and_the_service_signs_with_it() {
    let stack = MiniStack::start().await;
    let (site, first, group, _edge) = site(&stack).await;
    drop_in(&site, &stack);
    let mut machine = Machine::start(&site);
    let signs = |answer: std::io::Result<String>| -> String {
        let answer = answer.unwrap();
        let (_, rest) =
            answer.split_once("\"key_pair_id\":\"").unwrap_or_else(|| panic!("{answer}"));
        rest.split('"').next().unwrap().to_owned()
    };
    let answer = get(site.port, "/readyz").unwrap_or_else(|_| panic!("{}", machine.log()));
    assert_eq!(signs(Ok(answer)), first.to_string());
    machine.must("systemctl start edgemint-rotate.service");
    let second = signs(get(site.port, "/readyz"));
    assert_ne!(second, first.to_string(), "{}", machine.log());
    let trusted = group.read().await.unwrap().trusted;
    assert_eq!(trusted.len(), 2, "the old key is trusted on: {trusted:?}");
    let modes = machine.must("stat -c '%U %a' /etc/edgemint/keys/*.pem");
    assert_eq!(modes, "root 600\nroot 600\n");

    // On the next day there is nothing to do, and nothing is done.
    machine.must("systemctl start edgemint-rotate.service");
    assert!(machine.log().contains("nothing to do"), "{}", machine.log());
    assert_eq!(signs(get(site.port, "/readyz")), second);
}
