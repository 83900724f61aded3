using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

/// <summary>What a worker keeps between jobs: the base, the rows as tokens and the decompositions of the study that it works on.</summary>
internal sealed class WorkerStudies(SorsaCatalog catalog, string modelFolder, string decompositionFolder) : IDisposable
{
    private readonly Lock _turn = new();
    private readonly Dictionary<string, (TrialRunner Runner, int Users)> _runners = new(StringComparer.Ordinal);

    /// <summary>
    /// Does something with what runs the trials of a study. Other studies' that nobody uses go: each has a model in memory.
    /// </summary>
    /// <exception cref="InvalidDataException">The worker's model is not that of the study.</exception>
    public T Run<T>(PostgresStudyStore store, Func<TrialRunner, T> act)
    {
        StudyDefinition definition = store.ReadDefinition();

        // By its definition: the data, the model and the metric are in it.
        string study = definition.ToJson();
        TrialRunner runner = Acquire(study, definition, store);
        try
        {
            return act(runner);
        }
        finally
        {
            lock (_turn)
            {
                _runners[study] = (runner, _runners[study].Users - 1);
            }
        }
    }

    public void Dispose() => Free(_runners.Keys);

    private TrialRunner Acquire(string study, StudyDefinition definition, PostgresStudyStore store)
    {
        lock (_turn)
        {
            Free(_runners.Where(runner => runner.Key != study && runner.Value.Users == 0).Select(runner => runner.Key));
            (TrialRunner runner, int users) = _runners.TryGetValue(study, out (TrialRunner, int) known)
                ? known
                : (Load(definition, store), 0);
            _runners[study] = (runner, users + 1);
            return runner;
        }
    }

    private void Free(IEnumerable<string> studies)
    {
        foreach (string study in studies.ToArray())
        {
            _runners[study].Runner.Dispose();
            _runners.Remove(study);
        }
    }

    private TrialRunner Load(StudyDefinition definition, PostgresStudyStore store)
    {
        var runner = new TrialRunner(catalog, definition, store.ReadInputs(), modelFolder, decompositionFolder);
        if (runner.HasModelFingerprint(definition.ModelFingerprint))
        {
            return runner;
        }

        string found = runner.ModelFingerprint;
        runner.Dispose();
        throw new InvalidDataException(
            $"The model in '{modelFolder}' on {Environment.MachineName} ({found}) is not that of {store.Name} "
            + $"({definition.ModelFingerprint}): weights, configuration or tokenizer differ. Copy the model folder of the experiment to "
            + "the worker, or start the worker on the folder that has it.");
    }
}
