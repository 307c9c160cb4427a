//! The people who can sign in to the demo.

/// Somebody who can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// The provider's `sub`, in the form of Cognito's.
    pub id: &'static str,
    /// The name that people see.
    pub name: &'static str,
    /// The e-mail address.
    pub email: &'static str,
    /// Whether the provider vouches for the address.
    pub email_verified: bool,
    /// The groups, as `cognito:groups` lists them.
    pub groups: &'static [&'static str],
}

/// Everybody: one group, the other, both, none but a verified address, and nothing at all.
pub const PEOPLE: [Person; 5] = [
    Person {
        id: "a1d4c8e2-5b7f-4a10-9c36-0e8f2b6d7a01",
        name: "Ada",
        email: "ada@lab-a.example",
        email_verified: true,
        groups: &["lab-a"],
    },
    Person {
        id: "b2e5d9f3-6c80-4b21-8d47-1f903c7e8b02",
        name: "Ben",
        email: "ben@lab-b.example",
        email_verified: true,
        groups: &["lab-b"],
    },
    Person {
        id: "c3f6eaf4-7d91-4c32-9e58-20a14d8f9c03",
        name: "Chen",
        email: "chen@lab-a.example",
        email_verified: true,
        groups: &["lab-a", "lab-b"],
    },
    Person {
        id: "d407fb05-8ea2-4d43-8f69-31b25e90ad04",
        name: "Dana",
        email: "dana@atlas.example",
        email_verified: true,
        groups: &[],
    },
    // The address would open what Dana sees, but nobody vouches for it, so it must open nothing.
    Person {
        id: "e5180c16-9fb3-4e54-907a-42c36fa1be05",
        name: "Noor",
        email: "noor@atlas.example",
        email_verified: false,
        groups: &[],
    },
];

/// Returns the person whose `sub` is `id`.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.id == id)
}
