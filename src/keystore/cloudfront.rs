//! How the edge comes to trust a key: public keys and the key group, in CloudFront.
