using TorchSharp;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// Test classes run side by side, and the tensors are small: threads within an operation would only wait for each other. And a test device
/// that cannot be used ends the run, before a test that does not need it passes.
/// </summary>
[TestClass]
public sealed class Threads
{
    [AssemblyInitialize]
    public static void OneThreadPerOperation(TestContext context)
    {
        torch.set_num_threads(1);
        _ = TestDevice.Current;
    }
}
