using Microsoft.ML.Sorsa.Tests.Files;
using Microsoft.ML.Sorsa.Tests.Mpi;
using Microsoft.ML.Sorsa.Tests.Persistence;
using Microsoft.ML.Sorsa.Tests.Sweeps;
using Microsoft.ML.Sorsa.Tests.Training;
using Microsoft.Testing.Platform.Builder;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>Runs the tests; or, as the process that a test starts, something of its own.</summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments)
    {
        if (SweepProcess.Is(arguments))
        {
            SweepProcess.Run(arguments);
            return 0;
        }

        if (KeptMemoryTests.Is(arguments))
        {
            KeptMemoryTests.Run();
            return 0;
        }

        if (ServiceMemoryTests.Is(arguments))
        {
            ServiceMemoryTests.Run(arguments);
            return 0;
        }

        if (ThreadSettingsTests.Is(arguments))
        {
            ThreadSettingsTests.Run();
            return 0;
        }

        if (TerminatedTrainingTests.Is(arguments))
        {
            TerminatedTrainingTests.Run(arguments);
            return 0;
        }

        if (ExhaustedMemoryTests.Is(arguments))
        {
            ExhaustedMemoryTests.Run(arguments);
            return 0;
        }

        if (MpiProcess.Is(arguments))
        {
            return MpiProcess.Run(arguments);
        }

        if (WriterProcess.Is(arguments))
        {
            return WriterProcess.Run(arguments);
        }

        ITestApplicationBuilder builder = await TestApplication.CreateBuilderAsync(arguments);
        SelfRegisteredExtensions.AddSelfRegisteredExtensions(builder, arguments);
        using ITestApplication tests = await builder.BuildAsync();
        return await tests.RunAsync();
    }
}
