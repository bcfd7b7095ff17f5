"""Fitted scikit-learn models of many kinds, small enough to fit in a moment, for tests of engines."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import sklearn.calibration
import sklearn.compose
import sklearn.decomposition
import sklearn.discriminant_analysis
import sklearn.ensemble
import sklearn.feature_selection
import sklearn.impute
import sklearn.linear_model
import sklearn.naive_bayes
import sklearn.neural_network
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.svm
import sklearn.tree

pipe = sklearn.pipeline.make_pipeline
linear, ensemble, tree, prep = (
    sklearn.linear_model,
    sklearn.ensemble,
    sklearn.tree,
    sklearn.preprocessing,
)


def logistic() -> Any:
    """One that converges on unscaled data."""
    return linear.LogisticRegression(solver="newton-cholesky")


_RANDOM = np.random.default_rng(7)
ROWS = 240
FEATURES = 5
X = _RANDOM.normal(size=(ROWS, FEATURES)) * [1.0, 10.0, 0.1, 3.0, 1.0] + [0.0, 40.0, 0.5, -3.0, 1.0]
VALUES = X @ np.array([1.0, -0.2, 4.0, 0.3, 2.0]) + np.sin(X[:, 0])
CLASSES = np.digitize(VALUES, np.quantile(VALUES, [0.4, 0.7]))
LABELS = np.array(["high", "low", "middle"])[CLASSES]
PEOPLE = pd.DataFrame(
    {
        "age": X[:, 1],
        "income": X[:, 3] * 1e4 + 5e4,
        "city": _RANDOM.choice(["Oslo", "Rome", "Tromsø"], ROWS),
        "level": _RANDOM.choice(["a", "b"], ROWS),
    }
)
NUMBERS, TEXTS = ["age", "income"], ["city", "level"]


def by_column(numbers: Any, texts: Any, last: Any) -> Any:
    """A pipeline with a ColumnTransformer for `PEOPLE`."""
    columns = sklearn.compose.ColumnTransformer([("n", numbers, NUMBERS), ("t", texts, TEXTS)])
    return pipe(columns, last)


def one_hot(unknown: str = "ignore") -> Any:
    return prep.OneHotEncoder(handle_unknown=unknown)


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "logistic regression": logistic,
    "ridge classifier": linear.RidgeClassifier,
    "perceptron": lambda: linear.Perceptron(random_state=0),
    "linear support vectors": lambda: sklearn.svm.LinearSVC(random_state=0),
    "support vectors": lambda: pipe(prep.StandardScaler(), sklearn.svm.SVC()),
    "polynomial support vectors": lambda: pipe(
        prep.StandardScaler(), sklearn.svm.NuSVC(nu=0.3, kernel="poly")
    ),
    "linear discriminant": sklearn.discriminant_analysis.LinearDiscriminantAnalysis,
    "naive Bayes": sklearn.naive_bayes.GaussianNB,
    "neural network": lambda: pipe(
        prep.StandardScaler(),
        sklearn.neural_network.MLPClassifier((6,), solver="lbfgs", max_iter=40, random_state=0),
    ),
    "calibrated": lambda: sklearn.calibration.CalibratedClassifierCV(logistic(), cv=2),
    "scaler and regression": lambda: pipe(prep.StandardScaler(), logistic()),
    "imputer, scaler, regression": lambda: pipe(
        sklearn.impute.SimpleImputer(), prep.RobustScaler(), logistic()
    ),
    "range scaler and ridge": lambda: pipe(prep.MinMaxScaler(), linear.RidgeClassifier()),
    "principal components": lambda: pipe(sklearn.decomposition.PCA(3), logistic()),
    "selection": lambda: pipe(sklearn.feature_selection.SelectKBest(k=3), logistic()),
    "decision tree": lambda: tree.DecisionTreeClassifier(max_depth=5, random_state=0),
    "random forest": lambda: ensemble.RandomForestClassifier(8, random_state=0),
    "extra trees": lambda: ensemble.ExtraTreesClassifier(8, max_depth=5, random_state=0),
    "gradient boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=6, random_state=0),
    "histogram boosting": lambda: ensemble.HistGradientBoostingClassifier(max_iter=6),
    "scaler and forest": lambda: pipe(
        prep.StandardScaler(), ensemble.RandomForestClassifier(8, random_state=0)
    ),
    "imputer and boosting": lambda: pipe(
        sklearn.impute.SimpleImputer(strategy="median"), ensemble.GradientBoostingClassifier(n_estimators=6)
    ),
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "least squares": linear.LinearRegression,
    "ridge": linear.Ridge,
    "lasso": lambda: linear.Lasso(0.01),
    "elastic net": lambda: linear.ElasticNet(0.01),
    "Huber": lambda: linear.HuberRegressor(max_iter=500),
    "Bayesian ridge": linear.BayesianRidge,
    "scaler and support vectors": lambda: pipe(prep.StandardScaler(), sklearn.svm.SVR()),
    "scaler and ridge": lambda: pipe(prep.StandardScaler(), linear.Ridge()),
    "decision tree": lambda: tree.DecisionTreeRegressor(max_depth=5, random_state=0),
    "random forest": lambda: ensemble.RandomForestRegressor(6, max_depth=6, random_state=0),
    "extra trees": lambda: ensemble.ExtraTreesRegressor(6, max_depth=6, random_state=0),
    "gradient boosting": lambda: ensemble.GradientBoostingRegressor(n_estimators=6, random_state=0),
    "histogram boosting": lambda: ensemble.HistGradientBoostingRegressor(max_iter=6),
}
MIXED: dict[str, Callable[[], Any]] = {
    "one hot and regression": lambda: by_column(prep.StandardScaler(), one_hot(), logistic()),
    "one hot that refuses": lambda: by_column(prep.StandardScaler(), one_hot("error"), logistic()),
    "ordinal and regression": lambda: by_column(prep.StandardScaler(), prep.OrdinalEncoder(), logistic()),
    "imputer, one hot, regression": lambda: by_column(
        pipe(sklearn.impute.SimpleImputer(), prep.StandardScaler()), one_hot(), logistic()
    ),
    "text imputer and one hot": lambda: by_column(
        prep.StandardScaler(),
        pipe(sklearn.impute.SimpleImputer(strategy="most_frequent"), one_hot()),
        logistic(),
    ),
    "one hot and forest": lambda: by_column("passthrough", one_hot(), ensemble.RandomForestClassifier(8)),
}
