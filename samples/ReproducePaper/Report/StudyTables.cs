using System.Globalization;
using System.Text;
using Microsoft.ML.Sorsa.Analysis;

namespace ReproducePaper.Report;

/// <summary>The numbers as CSV (RFC 4180): table1.csv, rates.csv, runs.csv, steps.csv, matrices.csv and claims.csv.</summary>
internal static class StudyTables
{
    public static void Write(StudyFolder folder, StudyResults results)
    {
        RunResult[] runs = [results.Before, .. results.Reported, .. results.Gammas];
        Write(folder, "table1.csv", TableRow.Of(results),
        [
            new("method", row => row.Method.Key), new("trainable parameters", row => row.TrainableParameters),
            new("learning rate", row => row.LearningRate), .. TestColumns(results), new("text loss", row => row.TextLoss),
            new("forgotten", row => row.Forgetting), new("forgotten ± over seeds", row => row.ForgettingInterval),
            new("choices accuracy", row => row.Choices), new("intruder dimensions", row => row.Intruders),
            new("seconds per step", row => row.SecondsPerStep), new("peak memory bytes", row => row.PeakMemory),
            new("diverged", row => row.Diverged),
        ]);
        Write(folder, "rates.csv", results.Rates.SelectMany(rate => rate.Tried.Select(tried => (rate, tried))),
        [
            new("method", row => row.rate.Method.Key), new("learning rate", row => row.tried.Rate),
            new("validation loss", row => row.tried.Loss), new("best", row => row.tried.Rate == row.rate.Best),
        ]);
        Write(folder, "runs.csv", runs,
        [
            .. RunColumns<RunResult>(run => run.Run), new("learning rate", run => run.Run.LearningRate),
            new("trainable parameters", run => run.TrainableParameters), new("seconds per step", run => run.SecondsPerStep),
            new("peak memory bytes", run => run.PeakMemory), new("final loss", run => Curves.FinalLoss(run)), .. ScoreColumns(results),
            new("text loss", run => run.TextLoss), new("choices right", run => run.Choices?.Correct),
            new("choices asked", run => run.Choices?.Total), new("ΔD", run => PaperClaims.VectorChange(run)),
            new("ΔΣ", run => PaperClaims.ValueChange(run)), new("intruder dimensions", run => PaperClaims.Intruders(run)),
            new("divergence", run => run.Divergence),
        ]);
        Write(folder, "steps.csv", runs.SelectMany(run => run.Steps.Select(step => (run.Run, step))),
        [
            .. RunColumns<(Run Run, StepRecord step)>(row => row.Run), new("step", row => row.step.Step), new("loss", row => row.step.Loss),
            new("gradient norm", row => row.step.GradientNorm), new("orthonormality", row => row.step.Orthonormality),
        ]);
        Write(folder, "matrices.csv", runs.SelectMany(run => run.Matrices.Select(matrix => (run.Run, matrix))),
        [
            .. RunColumns<(Run Run, MatrixAnalysis matrix)>(row => row.Run), new("step", row => row.matrix.Step),
            new("path", row => row.matrix.Path), new("layer", row => row.matrix.Layer), new("module", row => row.matrix.Module),
            new("ΔΣ", row => row.matrix.SingularValueChange), new("ΔD", row => row.matrix.SingularVectorChange),
            new("orthonormality", row => row.matrix.Orthonormality), new("effective rank", row => row.matrix.EffectiveRank),
            new("intruder dimensions", row => row.matrix.IntruderDimensions),
        ]);
        Write(folder, "claims.csv", PaperClaims.All(results),
        [
            new("claim", claim => claim.Text), new("verdict", claim => claim.VerdictText), new("evidence", claim => claim.Evidence),
        ]);
    }

    private static IEnumerable<Column<TableRow>> TestColumns(StudyResults results) => results.Before.Scores.SelectMany((score, i) =>
        new Column<TableRow>[]
        {
            new($"{score.Name} accuracy", row => row.Tests[i].Accuracy),
            new($"{score.Name} ± over seeds", row => row.Tests[i].SeedInterval),
            new($"{score.Name} Wilson lower", row => row.Tests[i].QuestionInterval.Lower),
            new($"{score.Name} Wilson upper", row => row.Tests[i].QuestionInterval.Upper),
        });

    private static IEnumerable<Column<RunResult>> ScoreColumns(StudyResults results) => results.Before.Scores.SelectMany(score =>
        new Column<RunResult>[]
        {
            new($"{score.Name} right", run => run.Find(score.Name)?.Correct),
            new($"{score.Name} asked", run => run.Find(score.Name)?.Total),
        });

    private static IEnumerable<Column<T>> RunColumns<T>(Func<T, Run> run) =>
    [
        new("kind", row => run(row).Kind), new("method", row => run(row).Method), new("gamma", row => run(row).Gamma),
        new("seed", row => run(row).Seed),
    ];

    private static void Write<T>(StudyFolder folder, string name, IEnumerable<T> rows, IReadOnlyList<Column<T>> columns)
    {
        var text = new StringBuilder();
        text.AppendJoin(',', columns.Select(column => Cell(column.Name))).Append("\r\n");
        foreach (T row in rows)
        {
            text.AppendJoin(',', columns.Select(column => Cell(column.Value(row)))).Append("\r\n");
        }

        StudyFolder.Write(folder.PathOf(name), text.ToString());
    }

    private static string Cell(object? value)
    {
        string text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        return text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }

    private sealed record Column<T>(string Name, Func<T, object?> Value);
}
