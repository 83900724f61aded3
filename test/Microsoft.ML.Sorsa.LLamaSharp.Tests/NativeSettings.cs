using LLama.Native;
using TorchSharp;

namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>What is said to the two native libraries before either is used.</summary>
[TestClass]
public sealed class NativeSettings
{
    [AssemblyInitialize]
    public static void Set(TestContext context)
    {
        // Test classes run side by side: threads within an operation would only wait for each other.
        torch.set_num_threads(1);

        // What llama.cpp has to say besides errors is for those who debug it.
        NativeLibraryConfig.All.WithLogCallback((level, message) =>
        {
            if (level == LLamaLogLevel.Error)
            {
                Console.Error.Write(message);
            }
        });
    }
}
