"""The key: tokens reached over PKCS#11 in a child process, and the rehearsal key."""
