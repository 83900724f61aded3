using TorchSharp;

namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>Test classes run side by side: threads within an operation would only wait for each other.</summary>
[TestClass]
public sealed class Threads
{
    [AssemblyInitialize]
    public static void OneThreadPerOperation(TestContext context) => torch.set_num_threads(1);
}
