//! Rings in Parameter Store, over AWS's own client.

use edgemint::clock::EpochSeconds;
use edgemint::config::{DEFAULT_KMS_KEY, ParameterPath};
use edgemint::keystore::{Aws, Keystore, KeystoreError, ParameterStore};
use edgemint::signing::{KeyKind, KeyState, generate_pem};

use crate::ministack::MiniStack;

const NOW: EpochSeconds = EpochSeconds(1_800_000_000);

async fn open(stack: &MiniStack) -> Keystore {
    let path = ParameterPath::parse("/edgemint/test").unwrap();
    let aws = Aws::with(stack.config());
    Keystore::ParameterStore(ParameterStore::new(path, DEFAULT_KMS_KEY, &aws).await)
}

#[tokio::test]
async fn of_two_admins_at_once_exactly_one_wins_and_the_other_is_told() {
    let stack = MiniStack::start().await;
    let (one, other) = (open(&stack).await, open(&stack).await);
    let pem = generate_pem(KeyKind::P256).unwrap();
    let imported = one.import(&"K1".parse().unwrap(), &pem, NOW).await.unwrap();
    assert_eq!(imported.state, KeyState::Active);
    let seen = one.read().await.unwrap();
    let key = "1".repeat(64).parse().unwrap();
    let change = seen.ring.begin(&key, NOW).unwrap();
    let both =
        tokio::join!(one.write(&change, seen.revision), other.write(&change, seen.revision),);
    let (won, told) = match both {
        (Ok(won), Err(told)) | (Err(told), Ok(won)) => (won, told),
        both => panic!("{both:?}"),
    };
    assert!(matches!(told, KeystoreError::Conflict(_)), "{told}");
    assert_eq!(one.read().await.unwrap(), won);
    assert_eq!(other.load(None).await.unwrap().active.id, imported.id);
}
