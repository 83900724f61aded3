using System.Globalization;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

/// <summary>What a worker keeps between jobs: of each study that it has met the base, the rows as tokens and the decompositions.</summary>
internal sealed class WorkerStudies(IHostEnvironment env, string modelFolder, string cacheFolder) : IDisposable
{
    private readonly Lock _turn = new();
    private readonly Dictionary<string, TrialRunner> _runners = new(StringComparer.Ordinal);

    /// <summary>Runs the trials of a study.</summary>
    /// <exception cref="InvalidDataException">The worker's weights are not those of the study.</exception>
    public TrialRunner Runner(PostgresStudyStore store)
    {
        StudyDefinition definition = store.ReadDefinition()!;

        // By its definition: the data, the model and the metric are in it.
        string key = definition.ToJson();
        lock (_turn)
        {
            if (!_runners.TryGetValue(key, out TrialRunner? runner))
            {
                runner = Load(definition, store);
                _runners.Add(key, runner);
            }

            return runner;
        }
    }

    public void Dispose()
    {
        foreach (TrialRunner runner in _runners.Values)
        {
            runner.Dispose();
        }
    }

    private TrialRunner Load(StudyDefinition definition, PostgresStudyStore store)
    {
        TrialWork work = store.ReadWork();
        int threads = int.Parse(definition["threads per trial"], CultureInfo.InvariantCulture);
        var runner = new TrialRunner(env, work.Options(modelFolder), work.LargestRank, work.Data(), SweepMetric.Named(definition["metric"]), validation: null, cacheFolder, threads);
        if (runner.ModelFingerprint == definition["model"])
        {
            return runner;
        }

        string found = runner.ModelFingerprint;
        runner.Dispose();
        throw new InvalidDataException($"The weights in '{modelFolder}' on {Environment.MachineName} ({found}) are not those of {store.Name} ({definition["model"]}). Copy the model folder of the experiment to the worker, or start the worker on the folder that has it.");
    }
}
