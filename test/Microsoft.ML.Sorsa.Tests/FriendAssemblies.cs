using System.Runtime.CompilerServices;

// The runtime's half of build/FriendReferences.targets, which says why.
[assembly: IgnoresAccessChecksTo("Microsoft.ML.Core")]
[assembly: IgnoresAccessChecksTo("Microsoft.ML.Data")]
